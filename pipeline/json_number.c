#include "pipeline/json_number.h"

#include <math.h>

json_t *lrp_json_number(double x) {
  return isfinite(x) ? json_real(x) : json_null();
}

json_t *lrp_json_count(int64_t n) {
  return n >= 0 ? json_integer((json_int_t)n) : json_null();
}
