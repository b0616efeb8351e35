#include "pipeline/board.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* Remarks of a process rank that wait to be taken. Not more: where /dev/shm is small, it is. */
enum { ring_size = 64 };

/* What one process rank writes; the reader writes taken alone. */
typedef struct {
  atomic_int_least64_t items;
  _Atomic double cost, seconds;
  atomic_uint_least64_t said; /* remarks so far: the last one is ring[(said - 1) %] */
  atomic_uint_least64_t taken;
  lrp_remark ring[ring_size];
} slot;

struct lrp_board {
  MPI_Comm node; /* borrowed */
  int me, size;
  bool read;
  MPI_Win window;
  slot *slots; /* size of them, in memory of the window */
};

lrp_status lrp_board_create(MPI_Comm node, bool read, lrp_board **out) {
  lrp_board *b = calloc(1, sizeof *b);
  *out = NULL;
  lrp_status st = lrp_agree(b ? LRP_OK : lrp_fail_memory(sizeof *b, "the progress"), node);
  if (st != LRP_OK) {
    free(b);
    return st;
  }
  b->node = node;
  b->read = read;
  MPI_Comm_rank(node, &b->me);
  MPI_Comm_size(node, &b->size);
  MPI_Aint bytes = b->me == 0 ? (MPI_Aint)((size_t)b->size * sizeof *b->slots) : 0;
  int unit;
  MPI_Win_allocate_shared(bytes, 1, MPI_INFO_NULL, node, &b->slots, &b->window);
  MPI_Win_shared_query(b->window, 0, &bytes, &unit, &b->slots);
  memset(&b->slots[b->me], 0, sizeof *b->slots);
  MPI_Barrier(node);
  *out = b;
  return LRP_OK;
}

void lrp_board_destroy(lrp_board **out) {
  lrp_board *b = *out;
  if (!b) return;
  MPI_Win_free(&b->window); /* a barrier, too */
  free(b);
  *out = NULL;
}

void lrp_board_reset(lrp_board *b) {
  slot *s = &b->slots[b->me];
  MPI_Barrier(b->node); /* nobody still counts for the stage before */
  atomic_store(&s->items, 0);
  atomic_store(&s->cost, 0.0);
  atomic_store(&s->seconds, 0.0);
  MPI_Barrier(b->node);
}

void lrp_board_add(lrp_board *b, lrp_tally more) {
  slot *s = &b->slots[b->me]; /* written here alone */
  atomic_store(&s->cost, atomic_load(&s->cost) + more.cost);
  atomic_store(&s->seconds, atomic_load(&s->seconds) + more.seconds);
  atomic_fetch_add(&s->items, more.items);
}

static lrp_tally tally_of(const slot *s) {
  return (lrp_tally){.items = atomic_load(&s->items),
                     .cost = atomic_load(&s->cost),
                     .seconds = atomic_load(&s->seconds)};
}

void lrp_board_say(lrp_board *b, lrp_remark *remark) {
  slot *s = &b->slots[b->me];
  const uint64_t said = atomic_load_explicit(&s->said, memory_order_relaxed);
  if (!b->read) return;
  if (said - atomic_load_explicit(&s->taken, memory_order_acquire) >= ring_size) return;
  remark->tally = tally_of(s);
  s->ring[said % ring_size] = *remark;
  atomic_store_explicit(&s->said, said + 1, memory_order_release);
}

bool lrp_board_take(lrp_board *b, int i, lrp_remark *remark) {
  slot *s = &b->slots[i];
  const uint64_t taken = atomic_load_explicit(&s->taken, memory_order_relaxed);
  if (taken == atomic_load_explicit(&s->said, memory_order_acquire)) return false;
  *remark = s->ring[taken % ring_size];
  atomic_store_explicit(&s->taken, taken + 1, memory_order_release);
  return true;
}

int lrp_board_size(const lrp_board *b) {
  return b->size;
}

lrp_tally lrp_board_tally(const lrp_board *b, int i) {
  return tally_of(&b->slots[i]);
}

lrp_tally lrp_board_sum(const lrp_board *b) {
  lrp_tally sum = {0};
  for (int i = 0; i < b->size; i++) {
    const lrp_tally t = tally_of(&b->slots[i]);
    sum.items += t.items;
    sum.cost += t.cost;
    sum.seconds += t.seconds;
  }
  return sum;
}
