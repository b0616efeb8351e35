#include "pipeline/portions.h"

#include <stdlib.h>

/* Portions for each worker: the last ones to end are then a small part of all. */
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

/* Groups of configurations, so that there are enough portions. */
static int count_groups(const lrp_scorebook *book, const lrp_sweep *sweep, int64_t blocks,
                        int workers) {
  const int64_t wanted = (int64_t)portions_per_worker * workers;
  const int64_t n = sweep->n_configurations;
  if (book->study->model.config.family == LRP_FAMILY_BERT || blocks == 0) return (int)n;
  const int64_t groups = (wanted + blocks - 1) / blocks;
  return (int)(groups < n ? groups : n);
}

static double cost_of(const lrp_scorebook *book, const lrp_sweep *sweep, const lrp_portion *portion,
                      int *todo) {
  const int n = lrp_portion_todo(book, sweep, portion, todo);
  const int layers = sweep->layers;
  if (n == 0) return 0.0;
  const double tokens = (double)book->blocks[lrp_portion_block(book, portion, todo[0])].tokens;
  return tokens * (double)lrp_sweep_cost(sweep, todo, n, 0, layers, n) / layers;
}

static bool generates(const lrp_scorebook *book, int task) {
  return book->study->tasks[task].kind->output == LRP_GENERATE;
}

/* The blocks of a task under the configurations first .. end - 1 of the order. */
static void list_blocks(const lrp_scorebook *book, const lrp_sweep *sweep, int task, int first,
                        int end, int *todo, lrp_portions *out) {
  for (int64_t b = 0; b < book->pairs[task].n_blocks; b++) {
    lrp_portion *p = &out->portions[out->n++];
    *p = (lrp_portion){.task = task, .block = b, .first = first, .n = end - first};
    p->tokens = cost_of(book, sweep, p, todo);
  }
}

static void list(const lrp_scorebook *book, const lrp_sweep *sweep, int groups, int *todo,
                 lrp_portions *out) {
  const int64_t n = sweep->n_configurations;
  for (int g = 0; g < groups; g++) {
    const int first = (int)(n * g / groups), end = (int)(n * (g + 1) / groups);
    for (int t = 0; t < book->study->n_tasks; t++) {
      if (!generates(book, t)) list_blocks(book, sweep, t, first, end, todo, out);
      for (int i = first; generates(book, t) && i < end; i++) {
        list_blocks(book, sweep, t, i, i + 1, todo, out);
      }
    }
  }
}

lrp_status lrp_portions_create(const lrp_scorebook *book, const lrp_sweep *sweep, int workers,
                               lrp_portions *out) {
  int64_t shared = 0,
          single = 0; /* blocks of tasks that do and do not keep configurations together */
  for (int t = 0; t < book->study->n_tasks; t++) {
    *(generates(book, t) ? &single : &shared) += book->pairs[t].n_blocks;
  }
  const int groups = count_groups(book, sweep, shared, workers);
  const size_t n =
      (size_t)groups * (size_t)shared + (size_t)sweep->n_configurations * (size_t)single + 1;
  int *todo = calloc((size_t)sweep->n_configurations + 1, sizeof *todo);

  *out = (lrp_portions){.portions = calloc(n, sizeof *out->portions)};
  if (!todo || !out->portions) {
    free(todo);
    lrp_portions_free(out);
    return lrp_fail_memory(n * sizeof *out->portions, "a schedule");
  }
  list(book, sweep, groups, todo, out);
  free(todo);
  return LRP_OK;
}

void lrp_portions_free(lrp_portions *portions) {
  free(portions->portions);
  *portions = (lrp_portions){0};
}
