#include "pipeline/spread.h"

#include <stdlib.h>

enum {
  tag_down = 1,       /* to the next process rank */
  tag_up = 2,         /* how an item ended: from the last to the first */
  piece = 1 << 18,    /* floats of one message */
  items_per_rank = 2, /* on their way at a time: one computed, one waiting */
};

/* What comes next along the column. */
typedef enum { begin_item, activations, nothing, end_item, no_more } kind;

typedef struct {
  int64_t kind, status, item, n, rows, cols;
} header;

enum { header_words = sizeof(header) / sizeof(int64_t) };

struct lrp_column {
  MPI_Comm comm; /* owned */
  int me, size;
  lrp_status status; /* the worst so far, of this process rank and those before it */
  lrp_status below;  /* of the first: what the last one has told */
  int64_t begun, ended;
  bool open;            /* an item was begun, whose end has not come or gone yet */
  bool over;            /* no more items come; not used by the first */
  int window;           /* items on their way, at most */
  MPI_Request *reports; /* owned, window: of the last one, that its message has left */
  int *report;          /* owned, window */
  float *waste;         /* owned, piece: what is thrown away */
};

/* ---- ranges ---------------------------------------------------------------------------------- */

/* Whether ranges of at most that sum suffice; the cuts if first is not NULL. No range is left empty
 * as long as there are costs enough. */
static bool cut(const int64_t *cost, int n, int parts, int64_t most, int *first) {
  int i = 0;
  for (int p = 0; p < parts; p++) {
    int64_t sum = 0;
    const int begin = i, after = parts - 1 - p;
    if (first) first[p] = i;
    while (i < n && cost[i] <= most - sum && (i == begin || n - i > after)) sum += cost[i++];
  }
  if (first) first[parts] = i;
  return i == n;
}

int64_t lrp_spread_largest(const int64_t *cost, int n, int parts) {
  int64_t low = 0, high = 0;
  for (int i = 0; i < n; i++) {
    if (cost[i] > low) low = cost[i];
    high += cost[i];
  }
  while (low < high) { /* high suffices, low - 1 does not */
    const int64_t middle = low + (high - low) / 2;
    if (cut(cost, n, parts, middle, NULL)) {
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  return high;
}

void lrp_spread_ranges(const int64_t *cost, int n, int parts, int *first) {
  cut(cost, n, parts, lrp_spread_largest(cost, n, parts), first);
}

/* ---- column ---------------------------------------------------------------------------------- */

lrp_status lrp_column_create(MPI_Comm comm, lrp_column **out) {
  lrp_column *c = calloc(1, sizeof *c);
  int size;

  *out = NULL;
  MPI_Comm_size(comm, &size);
  if (c) {
    *c = (lrp_column){.comm = MPI_COMM_NULL, .size = size, .window = items_per_rank * size};
    MPI_Comm_rank(comm, &c->me);
    c->reports = malloc((size_t)c->window * sizeof *c->reports);
    c->report = malloc((size_t)c->window * sizeof *c->report);
    c->waste = malloc(piece * sizeof *c->waste);
  }
  const bool ok = c && c->reports && c->report && c->waste;
  const lrp_status st =
      lrp_agree(ok ? LRP_OK : lrp_fail_memory(piece * sizeof(float), "a column"), comm);
  if (st == LRP_OK) {
    MPI_Comm_dup(comm, &c->comm);
    for (int i = 0; i < c->window; i++) c->reports[i] = MPI_REQUEST_NULL;
    *out = c;
  } else {
    lrp_column_destroy(&c);
  }
  return st;
}

void lrp_column_destroy(lrp_column **column) {
  lrp_column *c = *column;
  if (!c) return;
  if (c->comm != MPI_COMM_NULL) MPI_Comm_free(&c->comm);
  free(c->reports);
  free(c->report);
  free(c->waste);
  free(c);
  *column = NULL;
}

MPI_Comm lrp_spread_comm(const lrp_column *c) {
  return c->comm;
}

int lrp_spread_previous(const lrp_column *c) {
  return c->me - 1;
}

int lrp_spread_next(const lrp_column *c) {
  return c->me + 1 < c->size ? c->me + 1 : -1;
}

lrp_status lrp_spread_status(const lrp_column *c) {
  return c->status;
}

static void worsen(lrp_status *st, int64_t other) {
  if (other > *st) *st = (lrp_status)other;
}

/* ---- messages -------------------------------------------------------------------------------- */

static void tell(lrp_column *c, header h) {
  h.status = c->status;
  if (c->me + 1 == c->size) return;
  MPI_Send(&h, header_words, MPI_INT64_T, c->me + 1, tag_down, c->comm);
}

static header listen(lrp_column *c) {
  header h;
  MPI_Recv(&h, header_words, MPI_INT64_T, c->me - 1, tag_down, c->comm, MPI_STATUS_IGNORE);
  worsen(&c->status, h.status);
  return h;
}

/* The first learns how the oldest item on its way has ended. */
static void hear_end(lrp_column *c) {
  int st = LRP_OK;
  if (c->size > 1) MPI_Recv(&st, 1, MPI_INT, c->size - 1, tag_up, c->comm, MPI_STATUS_IGNORE);
  worsen(&c->below, st);
  c->ended++;
}

/* The last tells it. The slot is free: the first has heard of the item that used it before it began
 * this one. */
static void tell_end(lrp_column *c) {
  const int slot = (int)(c->ended++ % c->window);
  MPI_Wait(&c->reports[slot], MPI_STATUS_IGNORE);
  c->report[slot] = c->status;
  MPI_Isend(&c->report[slot], 1, MPI_INT, 0, tag_up, c->comm, &c->reports[slot]);
}

int lrp_spread_depth(lrp_column *c) {
  int told = c->size > 1;
  while (told && c->ended < c->begun) {
    MPI_Iprobe(c->size - 1, tag_up, c->comm, &told, MPI_STATUS_IGNORE);
    if (told) hear_end(c);
  }
  return c->size + (int)(c->begun - c->ended);
}

bool lrp_spread_begin(lrp_column *c, int64_t item) {
  while (c->begun - c->ended >= c->window) hear_end(c);
  if (c->status != LRP_OK || c->below != LRP_OK) return false;
  c->begun++;
  c->open = true;
  tell(c, (header){.kind = begin_item, .item = item});
  return true;
}

bool lrp_spread_take(lrp_column *c, int64_t *item) {
  const header h = listen(c);
  tell(c, h);
  c->open = h.kind == begin_item;
  c->over = !c->open;
  *item = h.item;
  return c->open;
}

static int part(int64_t at, int64_t n) {
  return (int)(n - at < piece ? n - at : piece);
}

static void send_all(lrp_column *c, const void *data, int64_t n, MPI_Datatype type, size_t size) {
  const char *from = data;
  for (int64_t at = 0; at < n; at += piece) {
    MPI_Send(from + (size_t)at * size, part(at, n), type, c->me + 1, tag_down, c->comm);
  }
}

/* data NULL: out of the way of what follows. */
static void receive_all(lrp_column *c, void *data, int64_t n, MPI_Datatype type, size_t size) {
  char *to = data;
  for (int64_t at = 0; at < n; at += piece) {
    MPI_Recv(to ? (void *)(to + (size_t)at * size) : c->waste, part(at, n), type, c->me - 1,
             tag_down, c->comm, MPI_STATUS_IGNORE);
  }
}

void lrp_spread_send(lrp_column *c, lrp_status mine, const int *set, int n, const float *x,
                     int64_t rows, int64_t cols) {
  worsen(&c->status, mine);
  if (c->me + 1 == c->size) return;
  if (c->status != LRP_OK) {
    tell(c, (header){.kind = nothing});
    return;
  }
  tell(c, (header){.kind = activations, .n = n, .rows = rows, .cols = cols});
  send_all(c, set, n, MPI_INT, sizeof *set);
  send_all(c, x, rows * cols, MPI_FLOAT, sizeof *x);
}

static bool expected(const header *h, int n_max, int64_t rows, int64_t cols) {
  if (h->rows == rows && h->cols == cols && h->n <= n_max) return true;
  lrp_fail(LRP_ERR_BUG,
           "activations of %lld x %lld for %lld configurations came where %lld x %lld for at most "
           "%d were expected; please report this",
           (long long)h->rows, (long long)h->cols, (long long)h->n, (long long)rows,
           (long long)cols, n_max);
  return false;
}

bool lrp_spread_receive(lrp_column *c, int *set, int n_max, int *n, float *x, int64_t rows,
                        int64_t cols) {
  const header h = listen(c);
  if (h.kind == end_item) c->open = false;
  if (h.kind == activations) {
    const bool keep = x && expected(&h, n_max, rows, cols);
    if (x && !keep) worsen(&c->status, LRP_ERR_BUG);
    *n = keep ? (int)h.n : 0;
    receive_all(c, keep ? set : NULL, h.n, MPI_INT, sizeof *set);
    receive_all(c, keep ? x : NULL, h.rows * h.cols, MPI_FLOAT, sizeof *x);
  }
  return c->open;
}

/* What is still to come of an item that this process rank has left. */
static void drain(lrp_column *c) {
  while (c->open) {
    const header h = listen(c);
    if (h.kind == end_item) c->open = false;
    if (h.kind != activations) continue;
    receive_all(c, NULL, h.n, MPI_INT, sizeof(int));
    receive_all(c, NULL, h.rows * h.cols, MPI_FLOAT, sizeof(float));
  }
}

void lrp_spread_end(lrp_column *c, lrp_status mine) {
  worsen(&c->status, mine);
  if (c->me > 0) drain(c);
  c->open = false;
  tell(c, (header){.kind = end_item});
  if (c->me > 0 && c->me + 1 == c->size) tell_end(c);
}

lrp_status lrp_spread_finish(lrp_column *c, lrp_status mine) {
  int64_t item;
  worsen(&c->status, mine);
  if (c->open) lrp_spread_end(c, mine);
  if (c->me == 0) {
    tell(c, (header){.kind = no_more});
    while (c->ended < c->begun) hear_end(c);
  } else {
    while (!c->over && lrp_spread_take(c, &item)) lrp_spread_end(c, mine);
    MPI_Waitall(c->window, c->reports, MPI_STATUSES_IGNORE);
  }
  const lrp_status st = lrp_agree(c->status, c->comm);
  c->status = c->below = LRP_OK;
  c->begun = c->ended = 0;
  c->over = false;
  return st;
}

lrp_status lrp_spread_tokens(lrp_column *c, lrp_status mine, int32_t *tokens, int64_t n) {
  worsen(&c->status, mine);
  c->status = lrp_agree(c->status, c->comm);
  for (int64_t at = 0; c->status == LRP_OK && at < n; at += piece) {
    MPI_Bcast(tokens + at, part(at, n), MPI_INT32_T, c->size - 1, c->comm);
  }
  return c->status;
}
