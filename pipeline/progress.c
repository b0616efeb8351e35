#include "pipeline/progress.h"

#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "kernels/log.h"
#include "pipeline/bar.h"
#include "pipeline/board.h"
#include "pipeline/eta.h"
#include "pipeline/progress_file.h"

static const int64_t look_every_ns = 200000000;

/* progress.json: when something was done, and as a sign of life. */
static const double write_every_s = 2.0, alive_every_s = 10.0;

/* Lines on stderr. */
static const double line_every_s = 1.0;

enum { bar_columns = 240 };

/* What process rank 0 knows of the others, and shows. The other process ranks leave it alone. */
typedef struct {
  pthread_t thread;
  bool running; /* the thread is there */
  bool end;     /* it shall end */
  pthread_mutex_t mutex;
  pthread_cond_t ended;
  pthread_mutex_t file; /* held while the file is written; taken before mutex */
  lrp_progress_stage stage;
  int64_t *seen;     /* owned, of each process rank of the node: items as of its last remark */
  int64_t elsewhere; /* items done on other nodes, once they are known */
  int64_t counted;   /* of the node, when eta_s was found */
  double cost;       /* likewise */
  double eta_s;      /* of the stage, at eta_time; -1: not known */
  double eta_time;
  double later_s;
  char what[LRP_PROGRESS_WHAT];
  bool has_bar;         /* between begin and end */
  double last_line;     /* on stderr */
  double last_write;    /* of the file */
  int64_t written;      /* items that it told of */
  const char *reported; /* borrowed: "running", then how the run ended */
  const char *stopped_by;
} show;

struct lrp_progress {
  const lrp_topology *topo; /* borrowed */
  char *path;               /* owned */
  int attempt;
  int64_t started;
  lrp_board *board;
  bool counts_items; /* in this stage each costs 1 */
  double mark;       /* when this process rank last said that it had done something */
  lrp_status status; /* of the writes so far */
  show s;
};

/* Not MPI's clock: the thread shall not call MPI. */
static double clock_s(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- how far it is ---- */

static int64_t done_now(const lrp_progress *p) {
  return p->s.stage.done + p->s.elsewhere + lrp_board_sum(p->board).items;
}

/* Find the time again whenever something was done. */
static void measure(lrp_progress *p) {
  show *s = &p->s;
  const lrp_tally sum = lrp_board_sum(p->board);
  if (sum.items == s->counted && sum.cost == s->cost && s->eta_time > 0.0) return;
  const lrp_eta eta = {.cost = s->stage.cost,
                       .seconds_per_cost = s->stage.seconds_per_cost,
                       .workers = s->stage.workers,
                       .open = s->stage.total - s->stage.done - s->elsewhere - sum.items,
                       .done_cost = sum.cost,
                       .done_seconds = sum.seconds};
  s->eta_s = lrp_eta_seconds(&eta);
  s->eta_time = clock_s();
  s->counted = sum.items;
  s->cost = sum.cost;
}

/* Seconds to go, of this stage and of those to come; -1: not known. */
static double to_go(lrp_progress *p) {
  measure(p);
  if (p->s.eta_s < 0.0) return -1.0;
  const double passed = clock_s() - p->s.eta_time;
  return (passed < p->s.eta_s ? p->s.eta_s - passed : 0.0) + p->s.later_s;
}

/* ---- what is shown ---- */

/* A line, with the items that its process ranks had done by then. */
static void log_line(lrp_progress *p, const lrp_remark *r) {
  show *s = &p->s;
  char how_far[LRP_ETA_LINE];
  const double now = clock_s();
  int64_t done = s->stage.done + s->elsewhere;
  for (int i = 0; i < lrp_board_size(p->board); i++) done += s->seen[i];
  const bool shown =
      !lrp_log_terminal() && (now - s->last_line >= line_every_s || done >= s->stage.total);
  if (shown) s->last_line = now;
  if (r->item >= 0 && s->stage.said) s->stage.said[r->item] = true;
  lrp_log_progress(shown, "%s, %s", r->text,
                   lrp_eta_line(done, s->stage.total, s->stage.items, to_go(p), how_far));
}

/* Take what was said since the last time. */
static void take_remarks(lrp_progress *p) {
  lrp_remark r;
  for (int i = 0; i < lrp_board_size(p->board); i++) {
    while (lrp_board_take(p->board, i, &r)) {
      p->s.seen[i] = r.tally.items;
      if (r.done) {
        log_line(p, &r);
      } else {
        snprintf(p->s.what, sizeof p->s.what, "%s", r.text);
      }
    }
  }
}

static void show_bar(lrp_progress *p) {
  char text[5 * bar_columns];
  const int width = lrp_log_terminal();
  if (width == 0 || !p->s.has_bar) return;
  const lrp_bar bar = {.stage = p->s.stage.name,
                       .done = done_now(p),
                       .total = p->s.stage.total,
                       .seconds = to_go(p),
                       .what = p->s.what};
  lrp_log_bar(lrp_bar_text(&bar, width < bar_columns ? width : bar_columns, text, sizeof text));
}

static void find_state(lrp_progress *p, lrp_progress_state *state) {
  const show *s = &p->s;
  *state = (lrp_progress_state){.attempt = p->attempt,
                                .done = done_now(p),
                                .total = s->stage.total,
                                .eta_s = to_go(p),
                                .process_ranks = p->topo->size,
                                .started = p->started,
                                .updated = (int64_t)time(NULL)};
  snprintf(state->state, sizeof state->state, "%s", s->reported);
  snprintf(state->stage, sizeof state->stage, "%s", s->stage.name);
  snprintf(state->items, sizeof state->items, "%s", s->stage.items);
  snprintf(state->what, sizeof state->what, "%s", s->what);
  snprintf(state->stopped_by, sizeof state->stopped_by, "%s", s->stopped_by ? s->stopped_by : "");
}

/* Slow where the disk is: nobody who computes waits for it. */
static void write_file(lrp_progress *p) {
  lrp_progress_state state;
  pthread_mutex_lock(&p->s.file);
  pthread_mutex_lock(&p->s.mutex);
  find_state(p, &state);
  p->s.last_write = clock_s();
  p->s.written = state.done;
  pthread_mutex_unlock(&p->s.mutex);
  if (p->status == LRP_OK) p->status = lrp_progress_write(p->path, &state);
  pthread_mutex_unlock(&p->s.file);
}

static bool is_due(const lrp_progress *p) {
  const double passed = clock_s() - p->s.last_write;
  return passed >= (done_now(p) != p->s.written ? write_every_s : alive_every_s);
}

static void *look(void *context) {
  lrp_progress *p = context;
  show *s = &p->s;
  struct timespec next;
  pthread_mutex_lock(&s->mutex);
  while (!s->end) {
    clock_gettime(CLOCK_MONOTONIC, &next);
    next.tv_nsec += look_every_ns;
    next.tv_sec += next.tv_nsec / 1000000000;
    next.tv_nsec %= 1000000000;
    pthread_cond_timedwait(&s->ended, &s->mutex, &next);
    if (s->end) break;
    take_remarks(p);
    show_bar(p);
    if (!is_due(p)) continue;
    pthread_mutex_unlock(&s->mutex);
    write_file(p);
    pthread_mutex_lock(&s->mutex);
  }
  pthread_mutex_unlock(&s->mutex);
  return NULL;
}

/* ---- from start to end ---- */

/* Signals are for the thread that computes: it asks whether one came. */
static lrp_status start_thread(lrp_progress *p) {
  sigset_t all, before;
  pthread_condattr_t attr;
  show *s = &p->s;
  s->seen = calloc((size_t)lrp_board_size(p->board), sizeof *s->seen);
  if (!s->seen) return lrp_fail_memory(sizeof *s->seen, "the progress");
  pthread_condattr_init(&attr);
  pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
  pthread_cond_init(&s->ended, &attr);
  pthread_condattr_destroy(&attr);
  pthread_mutex_init(&s->mutex, NULL);
  pthread_mutex_init(&s->file, NULL);
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, &before);
  s->running = pthread_create(&s->thread, NULL, look, p) == 0;
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  return s->running ? LRP_OK : lrp_fail_memory(0, "the thread of the progress");
}

/* Also where it never ran. */
static void stop_thread(lrp_progress *p) {
  show *s = &p->s;
  if (!s->seen) return;
  pthread_mutex_lock(&s->mutex);
  s->end = true;
  pthread_cond_signal(&s->ended);
  pthread_mutex_unlock(&s->mutex);
  if (s->running) pthread_join(s->thread, NULL);
  pthread_cond_destroy(&s->ended);
  pthread_mutex_destroy(&s->mutex);
  pthread_mutex_destroy(&s->file);
  free(s->seen);
  s->seen = NULL;
}

/* The number of the attempt, the first state, and who shows the next ones. */
static lrp_status start_showing(lrp_progress *p) {
  lrp_progress_state before;
  lrp_progress_read(p->path, &before);
  p->attempt = before.attempt + 1;
  const lrp_status st = start_thread(p);
  if (st == LRP_OK) write_file(p);
  return st == LRP_OK ? p->status : st;
}

static void release(lrp_progress **out) {
  lrp_progress *p = *out;
  if (p) free(p->path);
  free(p);
  *out = NULL;
}

lrp_status lrp_progress_open(const char *output, const lrp_topology *topo, lrp_progress **out) {
  lrp_progress *p = calloc(1, sizeof *p);
  *out = p;
  lrp_status st = p ? LRP_OK : lrp_fail_memory(sizeof *p, "the progress");
  if (st == LRP_OK && !(p->path = lrp_progress_path(output))) st = LRP_ERR_MEM;
  st = lrp_agree(st, topo->comm);
  if (st != LRP_OK) {
    release(out);
    return st;
  }
  p->topo = topo;
  p->started = (int64_t)time(NULL);
  p->mark = clock_s();
  p->s.stage = (lrp_progress_stage){.name = "start", .items = "items"};
  p->s.reported = "running";
  st = lrp_agree(lrp_board_create(topo->node, topo->node_index == 0, &p->board), topo->comm);
  if (st == LRP_OK) {
    if (topo->me == 0) st = start_showing(p);
    MPI_Bcast(&p->attempt, 1, MPI_INT, 0, topo->comm);
    st = lrp_agree(st, topo->comm);
  }
  if (st == LRP_OK) return LRP_OK;
  stop_thread(p);
  lrp_board_destroy(&p->board);
  release(out);
  return st;
}

int lrp_progress_attempt(const lrp_progress *p) {
  return p->attempt;
}

static bool shows(const lrp_progress *p) {
  return p->topo->me == 0;
}

void lrp_progress_begin(lrp_progress *p, const lrp_progress_stage *stage) {
  show *s = &p->s;
  MPI_Barrier(p->topo->node);                  /* the last remarks of the stage before */
  if (shows(p)) pthread_mutex_lock(&s->mutex); /* tallies and stage change together */
  if (shows(p)) take_remarks(p);
  lrp_board_reset(p->board);
  p->mark = clock_s();
  p->counts_items = !(stage->cost > 0.0);
  if (!shows(p)) return;
  for (int i = 0; i < lrp_board_size(p->board); i++) s->seen[i] = 0;
  s->stage = *stage;
  if (!s->stage.items) s->stage.items = "items";
  if (!(s->stage.cost > 0.0)) s->stage.cost = (double)(stage->total - stage->done);
  s->elsewhere = 0;
  s->eta_time = 0.0;
  s->what[0] = '\0';
  s->has_bar = true;
  pthread_mutex_unlock(&s->mutex);
  write_file(p);
}

void lrp_progress_later(lrp_progress *p, double seconds) {
  if (!shows(p)) return;
  pthread_mutex_lock(&p->s.mutex);
  p->s.later_s = seconds > 0.0 ? seconds : 0.0;
  pthread_mutex_unlock(&p->s.mutex);
}

static void say(lrp_progress *p, bool done, int64_t item, const char *fmt, va_list ap) {
  lrp_remark remark = {.done = done, .item = item};
  vsnprintf(remark.text, sizeof remark.text, fmt, ap);
  lrp_board_say(p->board, &remark);
  if (!done || !shows(p)) return;
  pthread_mutex_lock(&p->s.mutex); /* a run of one process rank never loses a line */
  take_remarks(p);
  pthread_mutex_unlock(&p->s.mutex);
}

void lrp_progress_work(lrp_progress *p, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  say(p, false, -1, fmt, ap);
  va_end(ap);
}

void lrp_progress_line(lrp_progress *p, int64_t item, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  say(p, true, item, fmt, ap);
  va_end(ap);
}

void lrp_progress_advance(lrp_progress *p, int64_t n, double cost) {
  const double now = clock_s(), spent = now - p->mark;
  if (n > 0) {
    const lrp_tally more = {
        .items = n, .cost = p->counts_items ? (double)n : cost, .seconds = spent};
    lrp_board_add(p->board, more);
  }
  p->mark = now;
}

void lrp_progress_settle(lrp_progress *p, int64_t done) {
  show *s = &p->s;
  if (!shows(p)) return;
  pthread_mutex_lock(&s->mutex);
  take_remarks(p);
  for (int i = 0; i < lrp_board_size(p->board); i++) { /* also where a remark was lost */
    s->seen[i] = lrp_board_tally(p->board, i).items;
  }
  s->elsewhere = done - s->stage.done - lrp_board_sum(p->board).items;
  if (s->elsewhere < 0) s->elsewhere = 0;
  s->eta_time = 0.0;
  pthread_mutex_unlock(&s->mutex);
}

void lrp_progress_end(lrp_progress *p) {
  if (!shows(p)) return;
  pthread_mutex_lock(&p->s.mutex);
  take_remarks(p);
  p->s.stage.said = NULL;
  p->s.what[0] = '\0';
  p->s.has_bar = false;
  if (lrp_log_terminal()) lrp_log_bar(NULL);
  pthread_mutex_unlock(&p->s.mutex);
}

lrp_status lrp_progress_close(lrp_progress **out, lrp_status run, const char *stopped_by) {
  lrp_progress *p = *out;
  if (!p) return LRP_OK;
  MPI_Barrier(p->topo->comm);
  if (shows(p)) {
    lrp_progress_end(p);
    pthread_mutex_lock(&p->s.mutex);
    if (run == LRP_STOPPED) p->s.stopped_by = stopped_by;
    if (run == LRP_OK) p->s.later_s = 0.0;
    p->s.reported = run == LRP_OK ? "complete" : run == LRP_STOPPED ? "stopped" : "failed";
    pthread_mutex_unlock(&p->s.mutex);
    write_file(p);
    stop_thread(p);
  }
  const lrp_status st = lrp_agree(p->status, p->topo->comm);
  lrp_board_destroy(&p->board);
  release(out);
  return st;
}
