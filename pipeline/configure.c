#include "pipeline/configure.h"

#include <stdlib.h>

#include "kernels/log.h"

/* Rank of unit i that holds the share energy, at most bound. */
static lrp_status rank_for_energy(lrp_store *store, int i, double energy, int bound, int *rank,
                                  int *capped) {
  const lrp_unit *u = &store->study->plan.units[i];
  const int k = (int)(u->m < u->n ? u->m : u->n);
  lrp_unit_record record;
  double *s = NULL;
  if (!lrp_store_done(store, i, &record)) return lrp_fail(LRP_ERR_BUG, "%s: not stored", u->name);
  const lrp_status st = lrp_store_spectrum(store, i, &s);
  if (st != LRP_OK) return st;
  *rank = lrp_rank_for_energy(s, k, energy, record.frobenius * record.frobenius);
  if (*rank > bound) {
    *rank = bound;
    ++*capped;
  }
  free(s);
  return LRP_OK;
}

lrp_status lrp_resolve_energy(lrp_study *study, lrp_store *store) {
  lrp_status st = LRP_OK;
  for (int c = 0; c < study->plan.n_configurations; c++) {
    lrp_configuration *configuration = &study->plan.configurations[c];
    int capped = 0;
    if (configuration->energy <= 0.0) continue;
    for (int i = 0; st == LRP_OK && i < study->plan.n_units; i++) {
      const lrp_unit *u = &study->plan.units[i];
      int *rank = &configuration->rank[u->layer * study->plan.tensors + u->tensor];
      if (*rank > 0) {
        st = rank_for_energy(store, i, configuration->energy, *rank, rank, &capped);
      }
    }
    if (capped > 0) {
      lrp_warn(
          "configuration %s: %d tensors would need more than their break-even rank for energy "
          "%g; capped there",
          configuration->name, capped, configuration->energy);
    }
  }
  return st;
}

static lrp_status dense_model(const lrp_study *study, lrp_forward *out) {
  *out = (lrp_forward){.family = study->model.config.family};
  return out->family == LRP_FAMILY_BERT ? lrp_model_bert(&study->model, &out->bert)
                                        : lrp_model_llama(&study->model, &out->llama);
}

static lrp_linear *linear_of(lrp_forward *model, const lrp_unit *u) {
  return model->family == LRP_FAMILY_BERT ? &model->bert.layers[u->layer].linear[u->tensor]
                                          : &model->llama.layers[u->layer].linear[u->tensor];
}

lrp_status lrp_configured_model(lrp_store *store, int c, lrp_forward *out) {
  const lrp_study *study = store->study;
  const lrp_plan *plan = &study->plan;
  const int *rank = plan->configurations[c].rank;
  lrp_status st = dense_model(study, out);

  for (int i = 0; st == LRP_OK && i < plan->n_units; i++) {
    const lrp_unit *u = &plan->units[i];
    const int r = rank[u->layer * plan->tensors + u->tensor];
    if (r == 0) continue;
    lrp_linear *linear = linear_of(out, u);
    linear->rank = r;
    st = lrp_store_factors(store, i, r, &linear->left, &linear->middle, &linear->right);
  }
  if (st != LRP_OK) lrp_forward_free(out);
  return st;
}

void lrp_forward_free(lrp_forward *model) {
  lrp_model_llama_free(&model->llama);
  lrp_model_bert_free(&model->bert);
  *model = (lrp_forward){0};
}
