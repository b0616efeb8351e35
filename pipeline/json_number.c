#include "pipeline/json_number.h"

#include <math.h>

json_t *lrp_json_number(double x) {
  return isfinite(x) ? json_real(x) : json_null();
}
