#include "pipeline/portions.h"

#include <stdlib.h>

/* Most portions for each worker: the last ones to end are then a small part of all. */
enum { portions_per_worker = 4 };

int64_t lrp_portion_block(const lrp_scorebook *book, const lrp_portion *portion,
                          int configuration) {
  return book->pairs[configuration * book->study->n_tasks + portion->task].first_block +
         portion->block;
}

int lrp_portion_todo(const lrp_scorebook *book, const lrp_sweep *sweep, const lrp_portion *portion,
                     int *todo) {
  int n = 0;
  for (int i = portion->first; i < portion->first + portion->n; i++) {
    const int c = sweep->order[i];
    if (!lrp_scorebook_done(book, lrp_portion_block(book, portion, c), NULL)) todo[n++] = c;
  }
  return n;
}

/* Layers that the walks over all configurations apply, in so many groups. */
static int64_t cost_of_groups(const lrp_sweep *sweep, int groups) {
  const int64_t n = sweep->n_configurations;
  int64_t cost = 0;
  for (int g = 0; cost >= 0 && g < groups; g++) {
    const int first = (int)(n * g / groups), end = (int)(n * (g + 1) / groups);
    const int64_t walk =
        lrp_sweep_cost(sweep, sweep->order + first, end - first, 0, sweep->layers, end - first);
    cost = walk < 0 ? walk : cost + walk;
  }
  return cost;
}

/* Groups of configurations: each one more shares less, but a portion more for each block may keep
 * all workers busy. The fewest of those that are predicted to end first. -1: out of memory */
static int count_groups(const lrp_scorebook *book, const lrp_sweep *sweep, int64_t blocks,
                        int workers) {
  const int n = sweep->n_configurations;
  if (book->study->model.config.family == LRP_FAMILY_BERT || blocks == 0) return n;
  const int64_t wanted = ((int64_t)portions_per_worker * workers + blocks - 1) / blocks;
  double best = 0.0;
  int groups = 0;
  for (int g = 1; g <= n && g <= wanted; g++) {
    const int64_t rounds = (blocks * g + workers - 1) / workers;
    const int64_t cost = cost_of_groups(sweep, g);
    const double time = (double)rounds * (double)cost / g;
    if (cost < 0) return -1;
    if (groups > 0 && time >= best) continue;
    best = time;
    groups = g;
  }
  return groups;
}

static lrp_status find_cost(const lrp_scorebook *book, const lrp_sweep *sweep, lrp_portion *portion,
                            int *todo) {
  const int n = lrp_portion_todo(book, sweep, portion, todo);
  const int layers = sweep->layers;
  portion->tokens = 0.0;
  if (n == 0) return LRP_OK;
  const double tokens = (double)book->blocks[lrp_portion_block(book, portion, todo[0])].tokens;
  const int64_t cost = lrp_sweep_cost(sweep, todo, n, 0, layers, n);
  portion->tokens = tokens * (double)cost / layers;
  return cost < 0 ? LRP_ERR_MEM : LRP_OK;
}

static bool generates(const lrp_scorebook *book, int task) {
  return book->study->tasks[task].kind->output == LRP_GENERATE;
}

/* The blocks of a task under the configurations first .. end - 1 of the order. */
static lrp_status list_blocks(const lrp_scorebook *book, const lrp_sweep *sweep, int task,
                              int first, int end, int *todo, lrp_portions *out) {
  lrp_status st = LRP_OK;
  for (int64_t b = 0; st == LRP_OK && b < book->pairs[task].n_blocks; b++) {
    lrp_portion *p = &out->portions[out->n++];
    *p = (lrp_portion){.task = task, .block = b, .first = first, .n = end - first};
    st = find_cost(book, sweep, p, todo);
  }
  return st;
}

static lrp_status list(const lrp_scorebook *book, const lrp_sweep *sweep, int groups, int *todo,
                       lrp_portions *out) {
  const int64_t n = sweep->n_configurations;
  lrp_status st = LRP_OK;
  for (int g = 0; g < groups; g++) {
    const int first = (int)(n * g / groups), end = (int)(n * (g + 1) / groups);
    for (int t = 0; t < book->study->n_tasks; t++) {
      const int together = generates(book, t) ? 1 : end - first;
      for (int i = first; st == LRP_OK && i < end; i += together) {
        st = list_blocks(book, sweep, t, i, i + together, todo, out);
      }
    }
  }
  return st;
}

lrp_status lrp_portions_create(const lrp_scorebook *book, const lrp_sweep *sweep, int workers,
                               lrp_portions *out) {
  int64_t shared = 0,
          single = 0; /* blocks of tasks that do and do not keep configurations together */
  for (int t = 0; t < book->study->n_tasks; t++) {
    *(generates(book, t) ? &single : &shared) += book->pairs[t].n_blocks;
  }
  const int groups = count_groups(book, sweep, shared, workers);
  *out = (lrp_portions){0};
  if (groups < 0) return LRP_ERR_MEM;
  const size_t n =
      (size_t)groups * (size_t)shared + (size_t)sweep->n_configurations * (size_t)single + 1;
  int *todo = calloc((size_t)sweep->n_configurations + 1, sizeof *todo);

  *out = (lrp_portions){.portions = calloc(n, sizeof *out->portions)};
  if (!todo || !out->portions) {
    free(todo);
    lrp_portions_free(out);
    return lrp_fail_memory(n * sizeof *out->portions, "a schedule");
  }
  const lrp_status st = list(book, sweep, groups, todo, out);
  free(todo);
  if (st != LRP_OK) lrp_portions_free(out);
  return st;
}

void lrp_portions_free(lrp_portions *portions) {
  free(portions->portions);
  *portions = (lrp_portions){0};
}
