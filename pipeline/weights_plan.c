#include "pipeline/weights_plan.h"

#include "pipeline/spread.h"

lrp_weights_plan lrp_weights_choose(const int64_t *packed, const int64_t *mapped, int n,
                                    int n_nodes, int64_t budget) {
  lrp_weights_plan plan = {0};
  for (int together = 1; together <= n_nodes && together <= n; together++) {
    for (int as_it_lies = 0; as_it_lies < 2; as_it_lies++) {
      plan.packed = !as_it_lies;
      plan.together = together;
      plan.bytes = lrp_spread_largest(plan.packed ? packed : mapped, n, together);
      plan.fits = plan.bytes <= budget;
      if (plan.fits) return plan;
    }
  }
  return plan;
}

void lrp_weights_group(int i, int n_nodes, int together, int n, int *first, int *end) {
  const int64_t all = n_nodes, groups = all / together;
  const int64_t group = (((int64_t)i + 1) * groups - 1) / all;
  *first = (int)(group * all / groups);
  *end = (int)((group + 1) * all / groups);
  if (together > 1 && *end - *first > n) *end = *first + n;
}
