/* What the processor's cores multiply and add at most, measured. */
#ifndef CPU_PEAK_H
#define CPU_PEAK_H

#include "cpu_real.h"

/* Operations a second of all compute threads together, the best of some tenths of a second. */
CPU_REAL_DECLARE(double, cpu_peak, (void));

#endif
