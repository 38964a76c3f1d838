/* Front door of generated weights, float and double. */
#include "dn_ops_check.h"

#include <inttypes.h>
#include <math.h>

#include "dn_quantize.h"

static dn_status check_bits(int number, const char *name, int64_t bits, bool may_be_none) {
  const bool is_few = bits >= DN_QUANTIZE_LEAST && bits <= DN_QUANTIZE_MOST;
  if (is_few || (may_be_none && bits == DN_QUANTIZE_NOT)) return DN_OK;
  return dn_error_argument(number, "%s is %" PRId64 "; expected 2 to 16%s", name, bits,
                           may_be_none ? ", or 32" : "");
}

static dn_status check_one(int number, const char *name, const dn_tensor *tensor) {
  if (dn_tensor_count(tensor) == 1) return DN_OK;
  char got[DN_SHAPE_TEXT];
  return dn_error_argument(number, "%s is %s; expected one element", name,
                           dn_tensor_shape_text(tensor, got));
}

dn_status dn_quantize(dn_tensor *codes, dn_tensor *scale, const dn_tensor *x, int64_t bits) {
  DN_TRY(DN_CHECK(DN_CLASS_COMPUTE, {3, "x", x, "*", DN_CONTIGUOUS | DN_FILLED},
                  {1, "codes", codes, "*", DN_OUT | DN_CONTIGUOUS | DN_IS_LONG},
                  {2, "scale", scale, NULL, DN_OUT}));
  DN_TRY(check_one(2, "scale", scale));
  DN_TRY(check_bits(4, "bits", bits, false));
  return DN_RUN(quantize, codes, scale, x, bits);
}

dn_status dn_dequantize(dn_tensor *y, const dn_tensor *codes, const dn_tensor *scale,
                        int64_t bits) {
  DN_TRY(DN_CHECK(DN_CLASS_COMPUTE, {1, "y", y, "*", DN_OUT | DN_CONTIGUOUS | DN_FILLED},
                  {2, "codes", codes, "*", DN_CONTIGUOUS | DN_IS_LONG},
                  {3, "scale", scale, NULL, 0}));
  DN_TRY(check_one(3, "scale", scale));
  DN_TRY(check_bits(4, "bits", bits, false));
  return DN_RUN(dequantize, y, codes, scale, bits);
}

/* The three numbers of bits begin at argument `first`; one whose factor is left out is not read. */
static dn_status check_factor_bits(int first, const dn_tensor *coeff_in, const dn_tensor *coeff_out,
                                   const int64_t bits[3]) {
  DN_TRY(check_bits(first, "basis bits", bits[0], true));
  if (coeff_in) DN_TRY(check_bits(first + 1, "coeff_in bits", bits[1], true));
  if (coeff_out) DN_TRY(check_bits(first + 2, "coeff_out bits", bits[2], true));
  return DN_OK;
}

/* Letters of the basis: what a factor that is left out makes equal. */
static const char *basis_shape(const dn_tensor *coeff_in, const dn_tensor *coeff_out) {
  if (coeff_in) return coeff_out ? "PBS" : "OBS";
  return coeff_out ? "PCS" : "OCS";
}

dn_status dn_mlg_generate(dn_tensor *weight, const dn_tensor *basis, const dn_tensor *coeff_in,
                          const dn_tensor *coeff_out, int64_t basis_bits, int64_t coeff_in_bits,
                          int64_t coeff_out_bits) {
  const int64_t bits[3] = {basis_bits, coeff_in_bits, coeff_out_bits};
  DN_TRY(DN_CHECK(DN_CLASS_COMPUTE,
                  {1, "weight", weight, "OCS", DN_OUT | DN_CONTIGUOUS | DN_FILLED},
                  {4, "coeff_out", coeff_out, "OP", DN_CONTIGUOUS | DN_FILLED | DN_OPTIONAL},
                  {2, "basis", basis, basis_shape(coeff_in, coeff_out), DN_CONTIGUOUS | DN_FILLED},
                  {3, "coeff_in", coeff_in, coeff_out ? "PCB" : "OCB",
                   DN_CONTIGUOUS | DN_FILLED | DN_OPTIONAL}));
  DN_TRY(check_factor_bits(5, coeff_in, coeff_out, bits));
  return DN_RUN(mlg_generate, weight, basis, coeff_in, coeff_out, basis_bits, coeff_in_bits,
                coeff_out_bits);
}

dn_status dn_mlg_pull(dn_tensor *dbasis, dn_tensor *dcoeff_in, dn_tensor *dcoeff_out,
                      const dn_tensor *dweight, const dn_tensor *basis, const dn_tensor *coeff_in,
                      const dn_tensor *coeff_out, int64_t basis_bits, int64_t coeff_in_bits,
                      int64_t coeff_out_bits) {
  const int64_t bits[3] = {basis_bits, coeff_in_bits, coeff_out_bits};
  const char *const basis_letters = basis_shape(coeff_in, coeff_out);
  const char *const coeff_in_letters = coeff_out ? "PCB" : "OCB";
  const unsigned factor = DN_CONTIGUOUS | DN_FILLED, gradient = DN_OUT | DN_CONTIGUOUS;
  const dn_arg given_in = {6, "coeff_in", coeff_in, coeff_in_letters, factor | DN_OPTIONAL};
  const dn_arg given_out = {7, "coeff_out", coeff_out, "OP", factor | DN_OPTIONAL};
  const dn_arg made_in = {2, "dcoeff_in", dcoeff_in, coeff_in_letters, gradient | DN_OPTIONAL};
  const dn_arg made_out = {3, "dcoeff_out", dcoeff_out, "OP", gradient | DN_OPTIONAL};
  DN_TRY(DN_CHECK(DN_CLASS_COMPUTE, {4, "dweight", dweight, "OCS", factor}, given_out,
                  {5, "basis", basis, basis_letters, factor}, given_in,
                  {1, "dbasis", dbasis, basis_letters, gradient}, made_in, made_out));
  DN_TRY(dn_check_together(&made_in, &given_in));
  DN_TRY(dn_check_together(&made_out, &given_out));
  DN_TRY(check_factor_bits(8, coeff_in, coeff_out, bits));
  return DN_RUN(mlg_pull, dbasis, dcoeff_in, dcoeff_out, dweight, basis, coeff_in, coeff_out,
                basis_bits, coeff_in_bits, coeff_out_bits);
}

dn_status dn_orthonormality(dn_tensor *loss, dn_tensor *dx, const dn_tensor *x, bool by_columns,
                            double scale) {
  DN_TRY(DN_CHECK(DN_CLASS_COMPUTE, {3, "x", x, "GMK", DN_CONTIGUOUS | DN_FILLED},
                  {2, "dx", dx, "GMK", DN_OUT | DN_CONTIGUOUS}, {1, "loss", loss, NULL, DN_OUT}));
  DN_TRY(check_one(1, "loss", loss));
  DN_TRY(dn_check_finite(5, "scale", scale, -INFINITY));
  return DN_RUN(orthonormality, loss, dx, x, by_columns, scale);
}
