#include "pipeline/memory.h"

#include <stdio.h>
#include <string.h>

/* A number in the first line of a file of the kernel; -1 if there is none ("max"). */
static double read_number(const char *path) {
  FILE *f = fopen(path, "re");
  double value = -1.0;

  if (!f) return -1.0;
  if (fscanf(f, "%lf", &value) != 1) value = -1.0;
  fclose(f);
  return value;
}

/* MemAvailable of the host. */
static double free_memory(void) {
  FILE *f = fopen("/proc/meminfo", "re");
  char line[256];
  double kib = -1.0;

  if (!f) return -1.0;
  while (fgets(line, sizeof line, f) && sscanf(line, "MemAvailable: %lf kB", &kib) != 1) continue;
  fclose(f);
  return 1024.0 * kib;
}

/* Lower *memory to the limits of a control group and of each one above it. What they use now is not
 * counted: most of it is pages of files, which give way. */
static void limit_by_group(double *memory, const char *root, char *group, const char *limit) {
  for (;;) {
    char path[4608], *slash;
    snprintf(path, sizeof path, "%s%s/%s", root, group, limit);
    const double most = read_number(path);
    if (most >= 0.0 && most < *memory) *memory = most;
    slash = strrchr(group, '/');
    if (!slash) return;
    *slash = '\0';
  }
}

/* Lines "0::/group" (version 2) and "7:memory:/group" (version 1). */
double lrp_memory_available(void) {
  FILE *f = fopen("/proc/self/cgroup", "re");
  double memory = free_memory();
  char line[4096];

  while (f && fgets(line, sizeof line, f)) {
    char *group = strrchr(line, ':');
    if (!group) continue;
    line[strcspn(line, "\n")] = '\0';
    if (strncmp(line, "0::", 3) == 0) {
      limit_by_group(&memory, "/sys/fs/cgroup", group + 1, "memory.max");
    } else if (strstr(line, ":memory:")) {
      limit_by_group(&memory, "/sys/fs/cgroup/memory", group + 1, "memory.limit_in_bytes");
    }
  }
  if (f) fclose(f);
  return memory;
}
