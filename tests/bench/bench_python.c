#include "tests/bench/bench_python.h"

#include <fcntl.h>
#include <math.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

/* Its standard input and output are the pipes. */
static int spawn(const char *python, const char *script, int input, int output, pid_t *pid) {
  char *const argv[] = {(char *)python, (char *)script, NULL};
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
static lrp_status connect_to(const char *python, lrp_bench_python *p) {
  int to[2] = {-1, -1}, from[2] = {-1, -1};
  lrp_status st = LRP_OK;

  if (pipe2(to, O_CLOEXEC) != 0 || pipe2(from, O_CLOEXEC) != 0) {
    st = lrp_fail_errno(python, "make a pipe to", LRP_ERR_IO, LRP_ERR_IO);
  }
  if (st == LRP_OK && spawn(python, p->script, to[0], from[1], &p->pid) != 0) p->pid = 0;
  if (st == LRP_OK) {
    p->to = fdopen(to[1], "w");
    if (p->to) to[1] = -1;
    p->from = fdopen(from[0], "r");
    if (p->from) from[0] = -1;
    if (!p->to || !p->from) st = lrp_fail_memory(BUFSIZ, "a pipe");
  }
  for (int i = 0; i < 2; i++) {
    if (to[i] >= 0) close(to[i]);
    if (from[i] >= 0) close(from[i]);
  }
  return st;
}

/* The next answer, owned by the caller, or NULL with st. */
static lrp_status read_answer(lrp_bench_python *p, json_t **answer) {
  char *line = NULL;
  size_t room = 0;
  json_error_t error;

  *answer = NULL;
  if (getline(&line, &room, p->from) > 0) *answer = json_loads(line, 0, &error);
  free(line);
  if (json_is_object(*answer)) return LRP_OK;
  json_decref(*answer);
  *answer = NULL;
  return lrp_fail(LRP_ERR_DATA, "%s ended without an answer; see its message", p->script);
}

lrp_status lrp_bench_python_ask(lrp_bench_python *p, json_t *request, json_t **answer) {
  *answer = NULL;
  if (!request) return lrp_fail_memory(BUFSIZ, "a request");
  const int bad = json_dumpf(request, p->to, JSON_COMPACT);
  json_decref(request);
  if (bad != 0 || fputc('\n', p->to) == EOF || fflush(p->to) != 0) {
    return lrp_fail_errno(p->script, "write to", LRP_ERR_IO, LRP_ERR_IO);
  }
  return read_answer(p, answer);
}

bool lrp_bench_python_complains(const lrp_bench_python *p, const json_t *answer) {
  const json_t *error = json_object_get(answer, "error");
  if (!error) return false;
  fprintf(stderr, "PyTorch %s: %s\n", p->version, json_string_value(error));
  return true;
}

lrp_status lrp_bench_python_demand(lrp_bench_python *p, json_t *request) {
  json_t *answer;
  lrp_status st = lrp_bench_python_ask(p, request, &answer);
  if (st == LRP_OK && lrp_bench_python_complains(p, answer)) {
    st = lrp_fail(LRP_ERR_DATA, "PyTorch %s failed; see its message", p->version);
  }
  json_decref(answer);
  return st;
}

lrp_status lrp_bench_python_time(lrp_bench_python *p, json_t *request, double *seconds) {
  json_t *answer;
  *seconds = NAN;
  lrp_status st = lrp_bench_python_ask(p, request, &answer);
  if (st == LRP_OK && !lrp_bench_python_complains(p, answer)) {
    *seconds = json_number_value(json_object_get(answer, "seconds"));
  }
  json_decref(answer);
  return st;
}

/* The greeting: a version, or why there is none. */
static lrp_status greet(const char *python, lrp_bench_python *p) {
  json_t *answer = NULL;
  lrp_status st = read_answer(p, &answer);
  const char *version = json_string_value(json_object_get(answer, "version"));
  if (version) {
    snprintf(p->version, sizeof p->version, "%s", version);
  } else if (st == LRP_OK) {
    fprintf(stderr, "skipped: PyTorch of %s: %s\n", python,
            json_string_value(json_object_get(answer, "error")));
    lrp_bench_python_stop(p);
  }
  json_decref(answer);
  return st;
}

lrp_status lrp_bench_python_start(const char *python, const char *script, int threads,
                                  lrp_bench_python *out) {
  char number[16];

  *out = (lrp_bench_python){.script = script};
  snprintf(number, sizeof number, "%d", threads);
  if (setenv("OMP_NUM_THREADS", number, 1) != 0) {
    return lrp_fail_memory(sizeof number, "a variable of the environment");
  }
  lrp_status st = connect_to(python, out);
  if (st == LRP_OK && out->pid == 0) {
    fprintf(stderr, "skipped: PyTorch of %s: there is no such program\n", python);
    lrp_bench_python_stop(out);
    return LRP_OK;
  }
  if (st == LRP_OK) st = greet(python, out);
  if (st != LRP_OK) lrp_bench_python_stop(out);
  return st;
}

void lrp_bench_python_stop(lrp_bench_python *p) {
  if (p->to) fclose(p->to); /* it ends when there are no more requests */
  if (p->from) fclose(p->from);
  if (p->pid > 0) waitpid(p->pid, NULL, 0);
  *p = (lrp_bench_python){0};
}
