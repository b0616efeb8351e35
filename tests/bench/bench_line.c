#include "tests/bench/bench_line.h"

#include <math.h>
#include <string.h>

#include "kernels/threads.h"

json_t *lrp_bench_real(double value) {
  return isfinite(value) ? json_real(value) : json_null();
}

/* "model name : ..." of /proc/cpuinfo. */
static void read_processor(char *name, size_t size) {
  char line[256];
  FILE *file = fopen("/proc/cpuinfo", "r");
  snprintf(name, size, "unknown");
  while (file && fgets(line, sizeof line, file)) {
    const char *colon = strchr(line, ':');
    if (strncmp(line, "model name", strlen("model name")) != 0 || !colon) continue;
    snprintf(name, size, "%s", colon + 1 + strspn(colon + 1, " "));
    name[strcspn(name, "\n")] = '\0';
    break;
  }
  if (file) fclose(file);
}

void lrp_bench_add_machine(json_t *line, int threads) {
  char processor[256];
  read_processor(processor, sizeof processor);
  json_object_set_new(line, "threads", json_integer(threads));
  json_object_set_new(line, "blas_kernel", json_string(lrp_blas_kernel()));
  json_object_set_new(line, "processor", json_string(processor));
}

lrp_status lrp_bench_print_line(json_t *line) {
  if (!line) return lrp_fail_memory(BUFSIZ, "a result");
  const int bad = json_dumpf(line, stdout, JSON_COMPACT | JSON_REAL_PRECISION(6));
  json_decref(line);
  if (bad != 0 || putchar('\n') == EOF || fflush(stdout) != 0) {
    return lrp_fail_errno("stdout", "write", LRP_ERR_IO, LRP_ERR_IO);
  }
  return LRP_OK;
}

json_t *lrp_bench_json_verdict(lrp_bench_verdict x) {
  if (x == LRP_BENCH_REACHED || x == LRP_BENCH_MISSED) return json_boolean(x == LRP_BENCH_REACHED);
  return json_null();
}
