#include "pipeline/watch.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "kernels/log.h"

enum { phase_max = 160 };

/* One process rank's signs of life, in memory that the node shares. */
typedef struct {
  atomic_uint_least64_t ticks;   /* one a second, by its watch thread */
  atomic_uint_least64_t changes; /* of the phase, by its main thread */
  atomic_int waiting;            /* its main thread waits for others */
  int process_rank;
  char phase[phase_max]; /* for people: may be torn while it changes */
} slot;

/* What this thread saw of another process rank, in its own ticks. */
typedef struct {
  uint64_t ticks, changes;
  int64_t still; /* ticks of mine since its ticks moved */
} sight;

struct lrp_watch {
  MPI_Win window;
  slot *slots; /* node_size of them, shared */
  int node_rank, node_size;
  bool one_node; /* all process ranks of the run are here */
  int64_t limit;
  sight *sights;    /* owned, node_size */
  int64_t deadlock; /* my ticks since anybody moved while all wait */
  pthread_t thread;
  pthread_mutex_t mutex;
  pthread_cond_t ended;
  bool end;
};

static void give_up(const char *fmt, const slot *s, long long seconds) {
  char host[64] = "?", text[phase_max + 256];
  gethostname(host, sizeof host - 1);
  snprintf(text, sizeof text, fmt, s->process_rank, host, seconds, s->phase);
  lrp_log_error("%s", text);
  _exit(lrp_status_exit_code(LRP_ERR_BUG));
}

/* Look at every other process rank once. */
static void look(lrp_watch *w) {
  bool all_wait = w->one_node, moved = false;
  for (int i = 0; i < w->node_size; i++) {
    slot *s = &w->slots[i];
    sight *seen = &w->sights[i];
    const uint64_t ticks = atomic_load(&s->ticks), changes = atomic_load(&s->changes);
    seen->still = ticks == seen->ticks ? seen->still + 1 : 0;
    moved = moved || changes != seen->changes;
    all_wait = all_wait && atomic_load(&s->waiting);
    seen->ticks = ticks;
    seen->changes = changes;
    if (i != w->node_rank && seen->still > w->limit) {
      give_up("process rank %d on %s gives no sign of life for %lld s in phase: %s; is it stopped?",
              s, (long long)w->limit);
    }
  }
  w->deadlock = all_wait && !moved ? w->deadlock + 1 : 0;
  if (w->deadlock > w->limit && w->node_rank == 0) {
    give_up(
        "process rank %d on %s and all others wait for each other for %lld s in phase: %s; "
        "please report this",
        &w->slots[w->node_rank], (long long)w->limit);
  }
}

static void *watch(void *context) {
  lrp_watch *w = context;
  struct timespec next;
  clock_gettime(CLOCK_MONOTONIC, &next);
  pthread_mutex_lock(&w->mutex);
  while (!w->end) {
    next.tv_sec++;
    pthread_cond_timedwait(&w->ended, &w->mutex, &next);
    atomic_fetch_add(&w->slots[w->node_rank].ticks, 1);
    if (!w->end) look(w);
    clock_gettime(CLOCK_MONOTONIC, &next); /* after a pause, no burst of ticks to catch up */
  }
  pthread_mutex_unlock(&w->mutex);
  return NULL;
}

static void share_slots(lrp_watch *w, const lrp_topology *topo) {
  MPI_Aint bytes;
  int unit;
  MPI_Comm_rank(topo->node, &w->node_rank);
  MPI_Comm_size(topo->node, &w->node_size);
  const MPI_Aint all = (MPI_Aint)sizeof(slot) * w->node_size;
  MPI_Win_allocate_shared(w->node_rank == 0 ? all : 0, 1, MPI_INFO_NULL, topo->node, &w->slots,
                          &w->window);
  MPI_Win_shared_query(w->window, 0, &bytes, &unit, &w->slots);
  memset(&w->slots[w->node_rank], 0, sizeof(slot));
  w->slots[w->node_rank].process_rank = topo->me;
  snprintf(w->slots[w->node_rank].phase, phase_max, "start");
  MPI_Barrier(topo->node);
}

lrp_status lrp_watch_start(const lrp_topology *topo, int64_t limit_s, lrp_watch **out) {
  lrp_watch *w = calloc(1, sizeof *w);
  *out = NULL;
  lrp_status st = lrp_agree(w ? LRP_OK : lrp_fail_memory(sizeof *w, "the watchdog"), topo->comm);
  if (st != LRP_OK) {
    free(w);
    return st;
  }
  w->limit = limit_s;
  w->one_node = topo->n_nodes == 1 && topo->size > 1;
  pthread_mutex_init(&w->mutex, NULL);
  pthread_condattr_t attr;
  pthread_condattr_init(&attr);
  pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
  pthread_cond_init(&w->ended, &attr);
  pthread_condattr_destroy(&attr);
  share_slots(w, topo);
  w->sights = calloc((size_t)w->node_size, sizeof *w->sights);
  bool started = false;
  if (w->sights) started = pthread_create(&w->thread, NULL, watch, w) == 0;
  if (!started) {
    w->end = true;
    st = lrp_fail_memory((size_t)w->node_size * sizeof *w->sights, "the watchdog's thread");
  }
  st = lrp_agree(st, topo->comm);
  *out = w;
  if (st != LRP_OK) lrp_watch_stop(out);
  return st;
}

void lrp_watch_stop(lrp_watch **out) {
  lrp_watch *w = *out;
  if (!w) return;
  pthread_mutex_lock(&w->mutex);
  const bool running = !w->end;
  w->end = true;
  pthread_cond_signal(&w->ended);
  pthread_mutex_unlock(&w->mutex);
  if (running) pthread_join(w->thread, NULL);
  MPI_Win_free(&w->window);
  pthread_cond_destroy(&w->ended);
  pthread_mutex_destroy(&w->mutex);
  free(w->sights);
  free(w);
  *out = NULL;
}

void lrp_watch_phase(lrp_watch *w, const char *fmt, ...) {
  slot *s = &w->slots[w->node_rank];
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(s->phase, phase_max, fmt, ap);
  va_end(ap);
  atomic_store(&s->waiting, 0);
  atomic_fetch_add(&s->changes, 1);
}

void lrp_watch_wait(lrp_watch *w, const char *what) {
  lrp_watch_phase(w, "%s", what);
  atomic_store(&w->slots[w->node_rank].waiting, 1);
}
