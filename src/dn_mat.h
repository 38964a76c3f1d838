/*
** The files of the Street View House Numbers: MATLAB's format of level 5, of which a variable X holds
** the images and y their labels. Other variables are passed over.
**
** Source: MathWorks, "MAT-File Format", level 5; sizes and labels from the data set's page.
*/
#ifndef DN_MAT_H
#define DN_MAT_H

#include "dn_file.h"

/*
** *images becomes N,3,32,32 byte; *labels N long: digit d is label d + 1, which the file says as
** d, or as 10 for 0. In front of the images is room for n_before more, content undefined, so that
** those of two files can lie in one tensor. Either byte order; variables compressed or not; y of any type of number.
** Writes both only on success. Returns DN_EFORMAT, with the file's name, what was expected and what
** came, for any other file, also before memory is taken for more than the file can hold; DN_EIO;
** DN_ENOMEM.
*/
dn_status dn_mat_read_digits(const char *path, int64_t n_before, dn_tensor *images,
                             dn_tensor *labels);

#endif
