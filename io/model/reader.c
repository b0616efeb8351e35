#include "io/model/reader.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <xxhash.h>

/* Read at a time: hashed and scanned while it is in the second-level cache; a multiple of every
 * element's size. */
enum { piece = 1 << 19 };

struct lrp_reader {
  lrp_reader_item *items; /* borrowed */
  int64_t n;
  size_t ahead;
  unsigned char *buffer; /* owned, piece bytes */
  XXH3_state_t *hash;    /* owned */
  int fd;                /* of file; of the thread alone, as buffer and hash are */
  const lrp_safetensors *file;
  pthread_t thread;
  pthread_mutex_t mutex;
  pthread_cond_t changed;
  /* Under the mutex: */
  int64_t reached;
  int64_t first_bad; /* the lowest weight with a NaN; INT64_MAX: none */
  bool unlimited, quit, ended;
  lrp_status status;
};

/* ---- The thread ------------------------------------------------------------------------------ */

static lrp_status open_file(lrp_reader *r, const lrp_safetensors *file) {
  lrp_file_stamp stamp;
  if (r->file == file) return LRP_OK;
  if (r->fd >= 0) close(r->fd);
  r->file = NULL;
  r->fd = open(file->path, O_RDONLY | O_CLOEXEC);
  if (r->fd < 0) return lrp_fail_errno(file->path, "open", LRP_ERR_ABSENT, LRP_ERR_IO);
  const lrp_status st = lrp_file_stamp_take(r->fd, file->path, &stamp);
  if (st != LRP_OK) return st;
  if (!lrp_file_stamp_equal(&stamp, &file->stamp)) {
    return lrp_fail(LRP_ERR_DATA, "%s: was changed while it was in use; start again", file->path);
  }
  r->file = file;
  return LRP_OK;
}

static lrp_status read_piece(lrp_reader *r, int64_t offset, size_t size) {
  size_t done = 0;
  while (done < size) {
    const ssize_t n = pread(r->fd, r->buffer + done, size - done, offset + (int64_t)done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return lrp_fail_errno(r->file->path, "read", LRP_ERR_IO, LRP_ERR_IO);
    if (n == 0) {
      return lrp_fail(LRP_ERR_DATA, "%s: ends at byte %lld, it was longer when it was opened",
                      r->file->path, (long long)offset + (long long)done);
    }
    done += (size_t)n;
  }
  return LRP_OK;
}

/* The piece in the buffer, which begins at byte at of the item. */
static void look_at(lrp_reader *r, lrp_reader_item *item, size_t at, size_t size) {
  int64_t row, col;
  XXH3_64bits_update(r->hash, r->buffer, size);
  if (item->weight < 0) return;
  const size_t element = lrp_dtype_size(item->dtype);
  const int64_t count = (int64_t)(size / element);
  const lrp_matrix view = {
      .data = r->buffer, .dtype = item->dtype, .rows = 1, .cols = count, .ld = count};
  const int64_t found = lrp_matrix_count_nonfinite(&view, &row, &col);
  if (found > 0 && item->nonfinite == 0) item->first = (int64_t)(at / element) + col;
  item->nonfinite += found;
}

/* Whether the thread may go on, and item is still of interest. */
static bool is_wanted(lrp_reader *r, const lrp_reader_item *item, bool *quit) {
  pthread_mutex_lock(&r->mutex);
  *quit = r->quit;
  const bool wanted =
      r->first_bad == INT64_MAX || (item->weight >= 0 && item->weight < r->first_bad);
  pthread_mutex_unlock(&r->mutex);
  return wanted && !*quit;
}

static void tell_found(lrp_reader *r, const lrp_reader_item *item) {
  pthread_mutex_lock(&r->mutex);
  if (item->weight < r->first_bad) r->first_bad = item->weight;
  pthread_mutex_unlock(&r->mutex);
}

static lrp_status read_item(lrp_reader *r, lrp_reader_item *item, bool *quit) {
  const size_t bytes = item->tensor->bytes;
  const int64_t start = (const char *)item->tensor->data - (const char *)item->file->map;
  lrp_status st = LRP_OK;

  if (!is_wanted(r, item, quit)) return LRP_OK;
  if (bytes > 0) st = open_file(r, item->file);
  XXH3_64bits_reset(r->hash);
  for (size_t at = 0; st == LRP_OK && at < bytes; at += piece) {
    const size_t size = bytes - at < piece ? bytes - at : piece;
    if (!is_wanted(r, item, quit)) return LRP_OK;
    st = read_piece(r, start + (int64_t)at, size);
    if (st == LRP_OK && item->look) look_at(r, item, at, size);
  }
  if (st != LRP_OK || !item->look) return st;
  const uint64_t xxh3 = XXH3_64bits_digest(r->hash);
  item->xxh3 = xxh3 ? xxh3 : 1;
  item->done = true;
  if (item->nonfinite > 0) tell_found(r, item);
  return LRP_OK;
}

/* Hold back while item i lies too far ahead of what is in use. */
static void wait_for_room(lrp_reader *r, int64_t i) {
  pthread_mutex_lock(&r->mutex);
  for (;;) {
    size_t ahead = 0;
    for (int64_t j = r->reached; j <= i; j++) ahead += r->items[j].tensor->bytes;
    const bool room = ahead <= r->ahead || i <= r->reached;
    if (room || r->unlimited || r->quit || r->first_bad != INT64_MAX) break;
    pthread_cond_wait(&r->changed, &r->mutex);
  }
  pthread_mutex_unlock(&r->mutex);
}

static void *run(void *context) {
  lrp_reader *r = context;
  lrp_status st = LRP_OK;
  bool quit = false;

  for (int64_t i = 0; st == LRP_OK && !quit && i < r->n; i++) {
    wait_for_room(r, i);
    st = read_item(r, &r->items[i], &quit);
  }
  if (r->fd >= 0) close(r->fd);
  pthread_mutex_lock(&r->mutex);
  r->status = st;
  r->ended = true;
  pthread_cond_broadcast(&r->changed);
  pthread_mutex_unlock(&r->mutex);
  return NULL;
}

/* ---- Its owner ------------------------------------------------------------------------------- */

static void destroy(lrp_reader *r) {
  pthread_cond_destroy(&r->changed);
  pthread_mutex_destroy(&r->mutex);
  XXH3_freeState(r->hash);
  free(r->buffer);
  free(r);
}

static void init_waiting(lrp_reader *r) {
  pthread_condattr_t attr;
  pthread_mutex_init(&r->mutex, NULL);
  pthread_condattr_init(&attr);
  pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
  pthread_cond_init(&r->changed, &attr);
  pthread_condattr_destroy(&attr);
}

lrp_status lrp_reader_start(lrp_reader_item *items, int64_t n, size_t ahead_bytes,
                            lrp_reader **out) {
  lrp_reader *r = calloc(1, sizeof *r);
  *out = NULL;
  if (!r) return lrp_fail_memory(sizeof *r, "reading ahead");
  *r = (lrp_reader){.items = items, .n = n, .ahead = ahead_bytes, .fd = -1, .first_bad = INT64_MAX};
  init_waiting(r);
  r->buffer = aligned_alloc(64, piece);
  r->hash = XXH3_createState();
  if (!r->buffer || !r->hash || pthread_create(&r->thread, NULL, run, r) != 0) {
    destroy(r);
    return lrp_fail_memory(piece, "the thread that reads ahead");
  }
  *out = r;
  return LRP_OK;
}

void lrp_reader_reached(lrp_reader *reader, int64_t item) {
  pthread_mutex_lock(&reader->mutex);
  if (item > reader->reached) reader->reached = item;
  pthread_cond_broadcast(&reader->changed);
  pthread_mutex_unlock(&reader->mutex);
}

lrp_status lrp_reader_state(lrp_reader *reader) {
  pthread_mutex_lock(&reader->mutex);
  lrp_status st = reader->status;
  if (st == LRP_OK && reader->first_bad != INT64_MAX) st = LRP_ERR_DATA;
  pthread_mutex_unlock(&reader->mutex);
  return st;
}

bool lrp_reader_wait(lrp_reader *reader, double seconds) {
  struct timespec until;
  clock_gettime(CLOCK_MONOTONIC, &until);
  const double whole = floor(seconds);
  until.tv_sec += (time_t)whole;
  until.tv_nsec += (long)((seconds - whole) * 1e9);
  if (until.tv_nsec >= 1000000000) {
    until.tv_sec++;
    until.tv_nsec -= 1000000000;
  }
  pthread_mutex_lock(&reader->mutex);
  reader->unlimited = true;
  pthread_cond_broadcast(&reader->changed);
  int late = 0;
  while (!reader->ended && !late) {
    late = pthread_cond_timedwait(&reader->changed, &reader->mutex, &until);
  }
  const bool ended = reader->ended;
  pthread_mutex_unlock(&reader->mutex);
  return ended;
}

lrp_status lrp_reader_stop(lrp_reader **reader) {
  lrp_reader *r = *reader;
  if (!r) return LRP_OK;
  pthread_mutex_lock(&r->mutex);
  r->quit = true;
  pthread_cond_broadcast(&r->changed);
  pthread_mutex_unlock(&r->mutex);
  pthread_join(r->thread, NULL);
  const lrp_status st = r->status;
  destroy(r);
  *reader = NULL;
  return st;
}
