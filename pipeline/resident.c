#include "pipeline/resident.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* "VmRSS:     1784 kB" of /proc/self/status. */
static int64_t read_status(const char *key) {
  FILE *f = fopen("/proc/self/status", "re");
  const size_t length = strlen(key);
  char line[256];
  long long kib = -1;

  if (!f) return -1;
  while (kib < 0 && fgets(line, sizeof line, f)) {
    if (strncmp(line, key, length) != 0) continue;
    if (sscanf(line + length, ": %lld kB", &kib) != 1) kib = -1;
  }
  fclose(f);
  return kib < 0 ? -1 : 1024 * (int64_t)kib;
}

/* See proc(5): 5 resets the peak. */
bool lrp_resident_restart(void) {
  const int fd = open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC);
  if (fd < 0) return false;
  const bool done = write(fd, "5\n", 2) == 2;
  close(fd);
  return done;
}

int64_t lrp_resident_bytes(void) {
  return read_status("VmRSS");
}

int64_t lrp_resident_peak(void) {
  return read_status("VmHWM");
}
