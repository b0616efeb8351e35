#include "pipeline/tensor_choice.h"

#include <stdio.h>
#include <string.h>

#include "pipeline/words.h"

/* Both families list the four matrices of attention first. */
enum { attention_tensors = 4, n_groups = 2 };
static const char *const groups[n_groups] = {"attention", "mlp"};

int lrp_tensor_find(const lrp_config *config, const char *name) {
  for (int t = 0; t < lrp_config_layer_tensors(config); t++) {
    if (strcmp(lrp_config_tensor_name(config, t), name) == 0) return t;
  }
  return -1;
}

lrp_status lrp_tensor_fail(const lrp_config *config, const lrp_job_configuration *c,
                           const char *key, const char *name) {
  const char *names[LRP_MAX_LAYER_TENSORS + n_groups], *near;
  const int n = lrp_config_layer_tensors(config);
  char list[256] = "";
  size_t at = 0;

  for (int t = 0; t < n; t++) {
    names[t] = lrp_config_tensor_name(config, t);
    if (at < sizeof list) {
      at += (size_t)snprintf(list + at, sizeof list - at, "%s%s", t ? ", " : "", names[t]);
    }
  }
  for (int g = 0; g < n_groups; g++) names[n + g] = groups[g];
  near = lrp_did_you_mean(name, names, n + n_groups);
  return lrp_fail(LRP_ERR_JOB,
                  "%s: configuration '%s': %s: '%.100s' is not a tensor of this model%s%s%s; it "
                  "has %s",
                  c->origin, c->name, key, name, near ? " (did you mean '" : "", near ? near : "",
                  near ? "'?)" : "", list);
}

/* Whether name is a group; then its tensors are chosen. */
static bool choose_group(const char *name, int n_tensors, bool *chosen) {
  for (int g = 0; g < n_groups; g++) {
    if (strcmp(name, groups[g]) != 0) continue;
    for (int t = 0; t < n_tensors; t++) {
      if ((t < attention_tensors) == (g == 0)) chosen[t] = true;
    }
    return true;
  }
  return false;
}

lrp_status lrp_tensor_choose(const lrp_config *config, const lrp_job_configuration *c,
                             bool chosen[LRP_MAX_LAYER_TENSORS]) {
  const int n = lrp_config_layer_tensors(config);

  for (int t = 0; t < LRP_MAX_LAYER_TENSORS; t++) chosen[t] = c->all_tensors && t < n;
  for (int i = 0; i < c->n_tensors; i++) {
    const int t = lrp_tensor_find(config, c->tensors[i]);
    if (t >= 0) {
      chosen[t] = true;
    } else if (!choose_group(c->tensors[i], n, chosen)) {
      return lrp_tensor_fail(config, c, "tensors", c->tensors[i]);
    }
  }
  return LRP_OK;
}
