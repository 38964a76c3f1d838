/*
** Front door of the losses and of the update of parameters, float and double. Labels are checked by
** the backend while it reads them.
*/
#include "dn_ops_check.h"

#include <inttypes.h>
#include <math.h>

static const char *rows_of(const dn_tensor *x) { return x && x->n_dim == 1 ? "C" : "NC"; }

dn_status dn_log_softmax_forward(dn_tensor *y, const dn_tensor *x) {
  const char *shape = rows_of(x);
  DN_TRY(DN_CHECK(DN_CLASS_COMPUTE, {2, "x", x, shape, DN_CONTIGUOUS | DN_FILLED | DN_IN_PLACE},
                  {1, "y", y, shape, DN_OUT | DN_CONTIGUOUS}));
  return DN_RUN(log_softmax_forward, y, x);
}

dn_status dn_log_softmax_backward(dn_tensor *dx, const dn_tensor *dy, const dn_tensor *y) {
  const char *shape = rows_of(y);
  const unsigned traits = DN_CONTIGUOUS | DN_FILLED | DN_IN_PLACE;
  DN_TRY(DN_CHECK(DN_CLASS_COMPUTE, {3, "y", y, shape, traits}, {2, "dy", dy, shape, traits},
                  {1, "dx", dx, shape, DN_OUT | DN_CONTIGUOUS}));
  return DN_RUN(log_softmax_backward, dx, dy, y);
}

static dn_status check_loss(const dn_tensor *loss) {
  if (dn_tensor_count(loss) == 1) return DN_OK;
  char got[DN_SHAPE_TEXT];
  return dn_error_argument(1, "loss is %s; expected one element", dn_tensor_shape_text(loss, got));
}

static dn_status check_double(int number, const char *name, const dn_tensor *x) {
  if (x->dtype == DN_DOUBLE) return DN_OK;
  return dn_error_argument(number, "%s is %s; expected double", name, dn_dtype_name(x->dtype));
}

dn_status dn_nll_forward(dn_tensor *loss, const dn_tensor *log_probabilities,
                         const dn_tensor *target, const dn_tensor *class_weight, bool average) {
  DN_TRY(DN_CHECK(DN_CLASS_COMPUTE,
                  {2, "log_probabilities", log_probabilities, "NC", DN_CONTIGUOUS | DN_FILLED},
                  {3, "target", target, "N", DN_CONTIGUOUS | DN_IS_LONG},
                  {4, "class_weight", class_weight, "C", DN_CONTIGUOUS | DN_OPTIONAL},
                  {1, "loss", loss, NULL, DN_OUT}));
  DN_TRY(check_loss(loss));
  return DN_RUN(nll_forward, loss, log_probabilities, target, class_weight, average);
}

dn_status dn_nll_backward(dn_tensor *dx, const dn_tensor *target, const dn_tensor *class_weight,
                          bool average) {
  DN_TRY(DN_CHECK(DN_CLASS_COMPUTE, {1, "dx", dx, "NC", DN_OUT | DN_CONTIGUOUS | DN_FILLED},
                  {2, "target", target, "N", DN_CONTIGUOUS | DN_IS_LONG},
                  {3, "class_weight", class_weight, "C", DN_CONTIGUOUS | DN_OPTIONAL}));
  return DN_RUN(nll_backward, dx, target, class_weight, average);
}

dn_status dn_score(dn_tensor *result, const dn_tensor *output, const dn_tensor *target,
                   dn_number loss) {
  DN_TRY(DN_CHECK(DN_CLASS_REAL, {2, "output", output, "NC", DN_CONTIGUOUS | DN_FILLED},
                  {3, "target", target, "N", DN_CONTIGUOUS | DN_IS_LONG},
                  {1, "result", result, "5", DN_OUT | DN_CONTIGUOUS | DN_ANY_DTYPE}));
  DN_TRY(check_double(1, "result", result));
  DN_TRY(dn_check_number(4, "loss", &loss, output));
  return DN_RUN(score, result, output, target, loss);
}

dn_status dn_mse_forward(dn_tensor *loss, const dn_tensor *x, const dn_tensor *target,
                         bool average) {
  DN_TRY(DN_CHECK(DN_CLASS_COMPUTE, {2, "x", x, "*", DN_FILLED}, {3, "target", target, "*", 0},
                  {1, "loss", loss, NULL, DN_OUT}));
  DN_TRY(check_loss(loss));
  return DN_RUN(mse_forward, loss, x, target, average);
}

dn_status dn_mse_backward(dn_tensor *dx, const dn_tensor *x, const dn_tensor *target,
                          bool average) {
  DN_TRY(DN_CHECK(DN_CLASS_COMPUTE, {2, "x", x, "*", DN_FILLED}, {3, "target", target, "*", 0},
                  {1, "dx", dx, "*", DN_OUT}));
  return DN_RUN(mse_backward, dx, x, target, average);
}

dn_status dn_sgd_step(dn_tensor *parameter, dn_tensor *velocity, const dn_tensor *gradient,
                      dn_sgd options, dn_number skip) {
  DN_TRY(DN_CHECK(DN_CLASS_COMPUTE, {1, "parameter", parameter, "*", DN_OUT | DN_CONTIGUOUS},
                  {2, "velocity", velocity, "*", DN_OUT | DN_CONTIGUOUS | DN_OPTIONAL},
                  {3, "gradient", gradient, "*", DN_CONTIGUOUS}));
  DN_TRY(dn_check_number(4, "learning rate", &options.learning_rate, parameter));
  DN_TRY(dn_check_number(10, "skip", &skip, parameter));
  DN_TRY(dn_check_finite(4, "learning rate", options.learning_rate.value, -INFINITY));
  DN_TRY(dn_check_finite(5, "momentum", options.momentum, 0));
  DN_TRY(dn_check_finite(6, "dampening", options.dampening, -INFINITY));
  DN_TRY(dn_check_finite(7, "weight decay", options.weight_decay, -INFINITY));
  if (!velocity && options.momentum != 0)
    return dn_error_argument(2, "velocity is missing; expected it with momentum %g",
                             options.momentum);
  if (dn_tensor_count(parameter) == 0) return DN_OK;
  return DN_RUN(sgd_step, parameter, velocity, gradient, options, skip);
}

dn_status dn_loss_scale(dn_tensor *state, const dn_tensor *sum) {
  DN_TRY(DN_CHECK(DN_CLASS_COMPUTE, {1, "state", state, "4", DN_OUT | DN_CONTIGUOUS},
                  {2, "sum", sum, "1", 0}));
  DN_TRY(check_double(1, "state", state));
  return DN_RUN(loss_scale, state, sum);
}
