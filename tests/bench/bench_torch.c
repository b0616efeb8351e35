#include "tests/bench/bench_torch.h"

#include <fcntl.h>
#include <jansson.h>
#include <math.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

/* Its standard input and output are the pipes. */
static int spawn(const char *python, int input, int output, pid_t *pid) {
  char *const argv[] = {(char *)python, LRP_BENCH_PEERS, NULL};
  posix_spawn_file_actions_t actions;
  int error = posix_spawn_file_actions_init(&actions);
  if (error != 0) return error;
  error = posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO);
  if (error == 0) error = posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
  if (error == 0) error = posix_spawnp(pid, python, &actions, NULL, argv, environ);
  posix_spawn_file_actions_destroy(&actions);
  return error;
}

/* Pipes and process; the ends that are the child's are closed here. */
static lrp_status connect_to(const char *python, lrp_bench_torch *t) {
  int to[2] = {-1, -1}, from[2] = {-1, -1};
  lrp_status st = LRP_OK;

  if (pipe2(to, O_CLOEXEC) != 0 || pipe2(from, O_CLOEXEC) != 0) {
    st = lrp_fail_errno(python, "make a pipe to", LRP_ERR_IO, LRP_ERR_IO);
  }
  if (st == LRP_OK && spawn(python, to[0], from[1], &t->pid) != 0) t->pid = 0;
  if (st == LRP_OK) {
    t->to = fdopen(to[1], "w");
    if (t->to) to[1] = -1;
    t->from = fdopen(from[0], "r");
    if (t->from) from[0] = -1;
    if (!t->to || !t->from) st = lrp_fail_memory(BUFSIZ, "a pipe");
  }
  for (int i = 0; i < 2; i++) {
    if (to[i] >= 0) close(to[i]);
    if (from[i] >= 0) close(from[i]);
  }
  return st;
}

/* The next answer, owned by the caller, or NULL with st. */
static lrp_status read_answer(lrp_bench_torch *t, json_t **answer) {
  char *line = NULL;
  size_t room = 0;
  json_error_t error;

  *answer = NULL;
  if (getline(&line, &room, t->from) > 0) *answer = json_loads(line, 0, &error);
  free(line);
  if (json_is_object(*answer)) return LRP_OK;
  json_decref(*answer);
  *answer = NULL;
  return lrp_fail(LRP_ERR_DATA, "%s ended without an answer; see its message", LRP_BENCH_PEERS);
}

/* Takes request over. */
static lrp_status ask(lrp_bench_torch *t, json_t *request, json_t **answer) {
  *answer = NULL;
  if (!request) return lrp_fail_memory(BUFSIZ, "a request");
  const int bad = json_dumpf(request, t->to, JSON_COMPACT);
  json_decref(request);
  if (bad != 0 || fputc('\n', t->to) == EOF || fflush(t->to) != 0) {
    return lrp_fail_errno(LRP_BENCH_PEERS, "write to", LRP_ERR_IO, LRP_ERR_IO);
  }
  return read_answer(t, answer);
}

/* Whether PyTorch failed, which is said. */
static bool complains(const lrp_bench_torch *t, const json_t *answer) {
  const json_t *error = json_object_get(answer, "error");
  if (!error) return false;
  fprintf(stderr, "torch %s: %s\n", t->version, json_string_value(error));
  return true;
}

/* A request that must succeed. */
static lrp_status demand(lrp_bench_torch *t, json_t *request) {
  json_t *answer;
  lrp_status st = ask(t, request, &answer);
  if (st == LRP_OK && complains(t, answer)) {
    st = lrp_fail(LRP_ERR_DATA, "torch %s failed; see its message", t->version);
  }
  json_decref(answer);
  return st;
}

/* The greeting: a version, or why there is none. */
static lrp_status greet(const char *python, lrp_bench_torch *t) {
  json_t *answer = NULL;
  lrp_status st = read_answer(t, &answer);
  const char *version = json_string_value(json_object_get(answer, "version"));
  if (version) {
    snprintf(t->version, sizeof t->version, "%s", version);
  } else if (st == LRP_OK) {
    fprintf(stderr, "skipped: PyTorch of %s: %s\n", python,
            json_string_value(json_object_get(answer, "error")));
    lrp_bench_torch_stop(t);
  }
  json_decref(answer);
  return st;
}

lrp_status lrp_bench_torch_start(const char *python, int threads, const char *folder,
                                 lrp_bench_torch *out) {
  char number[16];

  *out = (lrp_bench_torch){0};
  snprintf(number, sizeof number, "%d", threads);
  if (setenv("OMP_NUM_THREADS", number, 1) != 0 ||
      asprintf(&out->path, "%s/peer-%d.factors", folder, (int)getpid()) < 0) {
    out->path = NULL;
    return lrp_fail_memory(strlen(folder), "the name of a file");
  }
  lrp_status st = connect_to(python, out);
  if (st == LRP_OK && out->pid == 0) {
    fprintf(stderr, "skipped: PyTorch of %s: there is no such program\n", python);
    lrp_bench_torch_stop(out);
    return LRP_OK;
  }
  if (st == LRP_OK) st = greet(python, out);
  if (st != LRP_OK) lrp_bench_torch_stop(out);
  return st;
}

void lrp_bench_torch_stop(lrp_bench_torch *t) {
  if (t->to) fclose(t->to); /* it ends when there are no more requests */
  if (t->from) fclose(t->from);
  if (t->pid > 0) waitpid(t->pid, NULL, 0);
  if (t->path) unlink(t->path);
  free(t->path);
  *t = (lrp_bench_torch){0};
}

lrp_status lrp_bench_torch_load(lrp_bench_torch *t, const lrp_bench_matrix *m) {
  return demand(t, json_pack("{s:s, s:s, s:I, s:I}", "do", "load", "path", m->path, "rows",
                             (json_int_t)m->w.rows, "cols", (json_int_t)m->w.cols));
}

lrp_status lrp_bench_torch_run(lrp_bench_torch *t, int q, double *seconds) {
  json_t *answer;

  *seconds = NAN;
  lrp_status st = ask(
      t,
      q == 0 ? json_pack("{s:s}", "do", "svd")
             : json_pack("{s:s, s:i, s:i}", "do", "svd_lowrank", "q", q, "niter", LRP_BENCH_NITER),
      &answer);
  if (st == LRP_OK && !complains(t, answer)) {
    *seconds = json_number_value(json_object_get(answer, "seconds"));
  }
  json_decref(answer);
  return st;
}

/* count floats of the file that the peer wrote. */
static lrp_status read_floats(const char *path, float *values, size_t count) {
  FILE *file = fopen(path, "rb");
  if (!file) return lrp_fail_errno(path, "open", LRP_ERR_DATA, LRP_ERR_IO);
  const size_t got = fread(values, sizeof *values, count, file);
  fclose(file);
  return got == count ? LRP_OK : lrp_fail(LRP_ERR_DATA, "%s: too short", path);
}

lrp_status lrp_bench_torch_check(lrp_bench_torch *t, const lrp_bench_matrix *m, int rank,
                                 lrp_bench_quality *q) {
  const size_t r = (size_t)rank;
  const size_t rows = (size_t)m->w.rows;
  const size_t count = (rows + 1 + (size_t)m->w.cols) * r;
  float *values = malloc(count * sizeof *values);
  if (!values) return lrp_fail_memory(count * sizeof *values, "factors of a peer");

  lrp_status st =
      demand(t, json_pack("{s:s, s:i, s:s}", "do", "save", "rank", rank, "path", t->path));
  if (st == LRP_OK) st = read_floats(t->path, values, count);
  if (st == LRP_OK) {
    const float *vt = values + (rows + 1) * r;
    const lrp_bench_factors f = {
        .rank = rank,
        .u = {.data = values, .dtype = LRP_F32, .rows = m->w.rows, .cols = rank, .ld = rank},
        .s = values + rows * r,
        .vt = {.data = vt, .dtype = LRP_F32, .rows = rank, .cols = m->w.cols, .ld = m->w.cols}};
    st = lrp_bench_check(m, &f, q);
  }
  free(values);
  return st;
}
