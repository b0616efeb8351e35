#include "pipeline/pareto.h"

#include <math.h>
#include <stdlib.h>

typedef struct {
  int64_t size;
  double score;
  int index;
} point;

/* By size, the best score of a size first. */
static int compare(const void *a, const void *b) {
  const point *p = a, *q = b;
  if (p->size != q->size) return p->size < q->size ? -1 : 1;
  return (p->score < q->score) - (p->score > q->score);
}

lrp_status lrp_pareto(const int64_t *size, const double *score, int n, bool *front) {
  point *points = malloc(((size_t)n + 1) * sizeof *points);
  double best = -INFINITY; /* of all smaller sizes */
  int known = 0;
  if (!points) return lrp_fail_memory((size_t)n * sizeof *points, "the Pareto front");
  for (int i = 0; i < n; i++) {
    front[i] = false;
    if (!isnan(score[i])) points[known++] = (point){size[i], score[i], i};
  }
  qsort(points, (size_t)known, sizeof *points, compare);
  for (int first = 0, next; first < known; first = next) {
    const double most = points[first].score;
    for (next = first; next < known && points[next].size == points[first].size; next++) {
      front[points[next].index] = points[next].score == most && most > best;
    }
    best = fmax(best, most);
  }
  free(points);
  return LRP_OK;
}
