#include "tests/bench/bench_load.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/bench/bench_timing.h"

/* user nice system idle iowait irq softirq steal, of all processors; the clock runs in idle and
 * iowait, too. */
static double read_all(double tick) {
  double v[8];
  double sum = NAN;
  FILE *file = fopen("/proc/stat", "r");
  if (file && fscanf(file, "cpu %lf %lf %lf %lf %lf %lf %lf %lf", &v[0], &v[1], &v[2], &v[3], &v[4],
                     &v[5], &v[6], &v[7]) == 8) {
    sum = (v[0] + v[1] + v[2] + v[5] + v[6] + v[7]) / tick;
  }
  if (file) fclose(file);
  return sum;
}

/* utime and stime: fields 14 and 15; the second, a name in parentheses, may hold anything. */
static double read_process(pid_t pid, double tick) {
  char path[64], line[1024];
  double user = 0.0, system = 0.0;
  snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
  FILE *file = fopen(path, "r");
  if (!file) return 0.0;
  const char *name_end = fgets(line, sizeof line, file) ? strrchr(line, ')') : NULL;
  fclose(file);
  if (!name_end) return 0.0;
  if (sscanf(name_end + 1, " %*c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %lf %lf", &user,
             &system) != 2) {
    return 0.0;
  }
  return (user + system) / tick;
}

lrp_bench_load lrp_bench_load_now(const pid_t *pids) {
  const double tick = (double)sysconf(_SC_CLK_TCK);
  lrp_bench_load now = {.at = lrp_bench_clock(), .all = read_all(tick)};
  for (int i = 0; i < LRP_BENCH_LOAD_PIDS; i++) {
    if (pids[i] > 0) now.own += read_process(pids[i], tick);
  }
  return now;
}

double lrp_bench_load_of_others(lrp_bench_load from, lrp_bench_load to) {
  const double processors = (double)sysconf(_SC_NPROCESSORS_ONLN) * (to.at - from.at);
  const double others = (to.all - from.all) - (to.own - from.own);
  return isnan(others) ? NAN : fmax(others, 0.0) / processors;
}
