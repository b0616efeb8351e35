#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "pipeline/measure.h"

enum { block_bytes = 8 << 20, piece_bytes = 512 << 10, commits = 9, repeats_max = 3 };

/* The file of this process rank. */
typedef struct {
  const lrp_topology *topo;
  char path[4352];
  int fd;
  char *block;    /* owned, block_bytes */
  int64_t blocks; /* of the file */
  int64_t nonfinite;
} probe;

static lrp_status write_blocks(probe *p) {
  for (int64_t at = 0; at < p->blocks * block_bytes;) {
    const ssize_t n = pwrite(p->fd, p->block, (size_t)(block_bytes - at % block_bytes), at);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return lrp_fail_errno(p->path, "write", LRP_ERR_IO, LRP_ERR_IO);
    at += n;
  }
  return LRP_OK;
}

/* Read and look at everything, as io/model/reader.h does. */
static lrp_status read_all(probe *p) {
  int64_t row, col;
  for (int64_t at = 0; at < p->blocks * block_bytes;) {
    const ssize_t n = pread(p->fd, p->block, piece_bytes, at);
    if (n < 0 && errno == EINTR) continue;
    if (n == 0) errno = EIO; /* the file was written whole */
    if (n <= 0) return lrp_fail_errno(p->path, "read", LRP_ERR_IO, LRP_ERR_IO);
    const lrp_matrix view = {p->block, LRP_BF16, 1, n / 2, n / 2};
    p->nonfinite += lrp_matrix_count_nonfinite(&view, &row, &col);
    at += n;
  }
  return LRP_OK;
}

static lrp_status sync_file(probe *p) {
  return fsync(p->fd) == 0 ? LRP_OK : lrp_fail_errno(p->path, "sync", LRP_ERR_IO, LRP_ERR_IO);
}

static lrp_status write_all(probe *p) {
  const lrp_status st = write_blocks(p);
  return st == LRP_OK ? sync_file(p) : st;
}

/* A record after the data, as a unit has one. */
static lrp_status commit(probe *p) {
  if (pwrite(p->fd, p->block, 512, 0) != 512) {
    return lrp_fail_errno(p->path, "write", LRP_ERR_IO, LRP_ERR_IO);
  }
  return sync_file(p);
}

/* Seconds of the slowest process rank. Collective. */
static lrp_status time_all(probe *p, lrp_status (*work)(probe *p), double *seconds) {
  const double shortest = 1e-6;
  MPI_Barrier(p->topo->comm);
  const double start = MPI_Wtime();
  const lrp_status st = work(p);
  *seconds = MPI_Wtime() - start;
  MPI_Allreduce(MPI_IN_PLACE, seconds, 1, MPI_DOUBLE, MPI_MAX, p->topo->comm);
  if (*seconds < shortest) *seconds = shortest;
  return lrp_agree(st, p->topo->comm);
}

static lrp_status probe_open(probe *p, const char *dir) {
  uint32_t state = 1;
  p->block = malloc(block_bytes);
  if (!p->block) return lrp_fail_memory(block_bytes, "a calibration");
  for (int i = 0; i < block_bytes; i++) { /* nothing that a file system compresses */
    state = state * 1664525u + 1013904223u;
    p->block[i] = (char)(state >> 24);
  }
  snprintf(p->path, sizeof p->path, "%s/.lrpipe-calibrate.%d.%ld", dir, p->topo->me,
           (long)getpid());
  p->fd = open(p->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (p->fd < 0) return lrp_fail_errno(p->path, "create", LRP_ERR_CREATE, LRP_ERR_CREATE);
  return LRP_OK;
}

static void probe_close(probe *p) {
  if (p->fd >= 0) {
    close(p->fd);
    unlink(p->path);
  }
  free(p->block);
}

static int compare(const void *a, const void *b) {
  const double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

/* The middle of several times: a disk hesitates now and then. Collective. */
static lrp_status time_commits(probe *p, double *seconds) {
  double all[commits];
  lrp_status st = LRP_OK;
  for (int i = 0; st == LRP_OK && i < commits; i++) st = time_all(p, commit, &all[i]);
  if (st != LRP_OK) return st;
  qsort(all, commits, sizeof *all, compare);
  *seconds = all[commits / 2];
  return LRP_OK;
}

static double processor_seconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* From the disk, not from memory; the middle of several times, because disks vary. look_s is what
 * the processor is busy with it, on average. Collective. */
static lrp_status time_reading(probe *p, double *seconds, double *look_s) {
  const double enough_s = 5.0, start = processor_seconds();
  double all[repeats_max], total = 0.0;
  int n = 0;
  lrp_status st = LRP_OK;

  while (st == LRP_OK && n < repeats_max && total < enough_s) {
    posix_fadvise(p->fd, 0, 0, POSIX_FADV_DONTNEED);
    st = time_all(p, read_all, &all[n]);
    total += all[n++];
  }
  qsort(all, (size_t)n, sizeof *all, compare);
  *seconds = all[n / 2];
  *look_s = (processor_seconds() - start) / n;
  MPI_Allreduce(MPI_IN_PLACE, look_s, 1, MPI_DOUBLE, MPI_MAX, p->topo->comm);
  return st;
}

static void learn(lrp_cost *cost, lrp_cost_stage stage, double work, double seconds) {
  cost->speed[stage][0] = cost->speed[stage][1] = work / seconds;
}

lrp_status lrp_measure_files(const lrp_topology *topo, const char *dir, int64_t node_bytes,
                             lrp_cost *cost) {
  const int64_t share = node_bytes / topo->node_ranks[topo->node_index] / block_bytes;
  probe p = {.topo = topo, .fd = -1, .blocks = share > 0 ? share : 1};
  const double bytes = (double)p.blocks * block_bytes;
  double write_s = 0.0, read_s = 0.0, look_s = 0.0, commit_s = 0.0;
  lrp_status st = lrp_agree(probe_open(&p, dir), topo->comm);

  if (st == LRP_OK) st = time_all(&p, write_all, &write_s);
  if (st == LRP_OK) st = time_reading(&p, &read_s, &look_s);
  if (st == LRP_OK) st = time_commits(&p, &commit_s);
  if (st == LRP_OK) {
    learn(cost, LRP_COST_WRITE, bytes, write_s);
    learn(cost, LRP_COST_READ, bytes, read_s);
    learn(cost, LRP_COST_LOOK, bytes * topo->threads, look_s); /* of all threads one is held up */
    learn(cost, LRP_COST_COMMIT, 1.0, commit_s);
  }
  probe_close(&p);
  return st;
}
