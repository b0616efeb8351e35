#include "tests/bench/bench_matrix.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/bench/bench_recipe.h"

static lrp_status make_path(const char *folder, const lrp_bench_recipe *r, const char *suffix,
                            char **path) {
  const int length =
      asprintf(path, "%s/%s-%dx%d-%d.%s", folder, lrp_bench_spectrum_name(r->spectrum), r->rows,
               r->cols, LRP_BENCH_RECIPE, suffix);
  if (length >= 0) return LRP_OK;
  *path = NULL;
  return lrp_fail_memory(strlen(folder), "the name of a file");
}

static lrp_status write_all(FILE *file, const char *path, const void *data, size_t bytes) {
  if (fwrite(data, 1, bytes, file) == bytes) return LRP_OK;
  return lrp_fail_errno(path, "write", LRP_ERR_IO, LRP_ERR_IO);
}

/* The matrix, panel by panel. */
static lrp_status write_matrix(FILE *file, const char *path, const lrp_bench_recipe *r) {
  enum { panel_rows = 512 };
  const size_t row = (size_t)r->cols;
  double *panel = malloc(panel_rows * row * sizeof *panel);
  uint16_t *stored = malloc(panel_rows * row * sizeof *stored);
  lrp_status st = LRP_OK;
  lrp_bench_signal signal = {0};

  if (!panel || !stored) st = lrp_fail_memory(panel_rows * row * sizeof *panel, path);
  if (st == LRP_OK) st = lrp_bench_signal_init(r, &signal);
  for (int i = 0; st == LRP_OK && i < r->rows; i += panel_rows) {
    const int here = r->rows - i < panel_rows ? r->rows - i : panel_rows;
    lrp_bench_rows(r, &signal, i, here, panel);
    lrp_from_f64(stored, LRP_BF16, panel, (size_t)here * row);
    st = write_all(file, path, stored, (size_t)here * row * sizeof *stored);
  }
  lrp_bench_signal_free(&signal);
  free(stored);
  free(panel);
  return st;
}

/* Either complete or not there: written under another name. With tails, those; else the matrix. */
static lrp_status write_file(const char *path, const lrp_bench_recipe *r, const double *tails) {
  char *partial = NULL;
  FILE *file = NULL;
  lrp_status st = LRP_OK;

  if (asprintf(&partial, "%s.partial", path) < 0) {
    return lrp_fail_memory(strlen(path), "the name of a file");
  }
  file = fopen(partial, "wb");
  if (!file) st = lrp_fail_errno(partial, "create", LRP_ERR_CREATE, LRP_ERR_CREATE);
  if (st == LRP_OK && tails) {
    st = write_all(file, partial, tails, ((size_t)r->cols + 1) * sizeof *tails);
  } else if (st == LRP_OK) {
    st = write_matrix(file, partial, r);
  }
  if (file && fclose(file) != 0 && st == LRP_OK) {
    st = lrp_fail_errno(partial, "write", LRP_ERR_IO, LRP_ERR_IO);
  }
  if (st == LRP_OK && rename(partial, path) != 0) {
    st = lrp_fail_errno(path, "create", LRP_ERR_CREATE, LRP_ERR_CREATE);
  }
  free(partial);
  return st;
}

static bool is_there(const char *path, size_t bytes) {
  struct stat info;
  return stat(path, &info) == 0 && (size_t)info.st_size == bytes;
}

/* As a run gets its weights: a file that is mapped, in memory already. */
static lrp_status map_matrix(const lrp_bench_recipe *r, lrp_bench_matrix *out) {
  const size_t bytes = (size_t)r->rows * (size_t)r->cols * sizeof(uint16_t);
  const int fd = open(out->path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return lrp_fail_errno(out->path, "open", LRP_ERR_ABSENT, LRP_ERR_IO);
  void *data = mmap(NULL, bytes, PROT_READ, MAP_SHARED | MAP_POPULATE, fd, 0);
  lrp_status st = LRP_OK;
  if (data == MAP_FAILED) st = lrp_fail_errno(out->path, "map", LRP_ERR_IO, LRP_ERR_IO);
  close(fd);
  if (st != LRP_OK) return st;
  out->w = (lrp_matrix){
      .data = data, .dtype = LRP_BF16, .rows = r->rows, .cols = r->cols, .ld = r->cols};
  return LRP_OK;
}

static lrp_status read_tails(const char *path, const lrp_bench_recipe *r, double *tails) {
  const size_t count = (size_t)r->cols + 1;
  FILE *file = fopen(path, "rb");
  if (!file) return lrp_fail_errno(path, "open", LRP_ERR_ABSENT, LRP_ERR_IO);
  const size_t got = fread(tails, sizeof *tails, count, file);
  fclose(file);
  return got == count ? LRP_OK : lrp_fail_errno(path, "read", LRP_ERR_IO, LRP_ERR_IO);
}

static lrp_status get_tails(const char *folder, const lrp_bench_recipe *r, lrp_bench_matrix *out) {
  const size_t bytes = ((size_t)r->cols + 1) * sizeof *out->tails;
  char *path = NULL;
  lrp_status st = make_path(folder, r, "tails", &path);
  if (st == LRP_OK) {
    out->tails = malloc(bytes);
    if (!out->tails) st = lrp_fail_memory(bytes, path);
  }
  if (st == LRP_OK && is_there(path, bytes)) {
    st = read_tails(path, r, out->tails);
  } else if (st == LRP_OK) {
    fprintf(stderr, "its optimal errors: %s\n", path);
    st = lrp_bench_tails(&out->w, out->tails);
    if (st == LRP_OK) st = write_file(path, r, out->tails);
  }
  free(path);
  return st;
}

lrp_status lrp_bench_matrix_open(const char *folder, lrp_bench_spectrum spectrum, int rows,
                                 int cols, lrp_bench_matrix *out) {
  const lrp_bench_recipe r = {.spectrum = spectrum, .rows = rows, .cols = cols};
  const size_t bytes = (size_t)rows * (size_t)cols * sizeof(uint16_t);

  *out = (lrp_bench_matrix){0};
  lrp_status st = LRP_OK;
  if (mkdir(folder, 0777) != 0 && errno != EEXIST) {
    st = lrp_fail_errno(folder, "create", LRP_ERR_CREATE, LRP_ERR_CREATE);
  }
  if (st == LRP_OK) st = make_path(folder, &r, "bf16", &out->path);
  if (st == LRP_OK && !is_there(out->path, bytes)) {
    fprintf(stderr, "making a matrix: %s\n", out->path);
    st = write_file(out->path, &r, NULL);
  }
  if (st == LRP_OK) st = map_matrix(&r, out);
  if (st == LRP_OK) st = get_tails(folder, &r, out);
  if (st != LRP_OK) lrp_bench_matrix_free(out);
  return st;
}

void lrp_bench_matrix_free(lrp_bench_matrix *m) {
  if (m->w.data) {
    munmap((void *)m->w.data, (size_t)m->w.rows * (size_t)m->w.cols * sizeof(uint16_t));
  }
  free(m->tails);
  free(m->path);
  *m = (lrp_bench_matrix){0};
}

double lrp_bench_optimum(const lrp_bench_matrix *m, int rank) {
  return sqrt(m->tails[rank]);
}
