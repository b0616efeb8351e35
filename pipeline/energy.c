#include "pipeline/energy.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io/base/file.h"

enum { name_size = 64, number_size = 32 };

/* A zone of powercap: intel-rapl:package, or its part intel-rapl:package:part. */
typedef struct {
  int package, part; /* part -1: the package itself */
  char name[name_size];
  char *folder, *counter; /* owned: the zone, and its energy_uj */
  uint64_t range, last;   /* microjoules */
} zone;

struct lrp_energy {
  zone *zones; /* owned, sorted; after opening, those that are added */
  size_t n_zones;
  uint64_t total; /* microjoules */
  bool lost;      /* a counter could not be read */
  char *domains;  /* owned */
};

static void __attribute__((format(printf, 2, 3))) say(char *reason, const char *fmt, ...) {
  va_list args;
  va_start(args, fmt);
  vsnprintf(reason, LRP_ENERGY_REASON, fmt, args);
  va_end(args);
}

/* ---- files ---- */

/* The first line of a file. Returns 0, or an error number. */
static int read_line(const char *path, char *line, size_t size) {
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return errno;
  const ssize_t n = read(fd, line, size - 1);
  const int error = n < 0 ? errno : 0;
  close(fd);
  line[n > 0 ? n : 0] = '\0';
  line[strcspn(line, "\n")] = '\0';
  return error;
}

static int read_number(const char *path, uint64_t *out) {
  char line[number_size], *end;
  const int error = read_line(path, line, sizeof line);
  if (error != 0) return error;
  if (line[0] < '0' || line[0] > '9') return EINVAL;
  errno = 0;
  *out = strtoull(line, &end, 10);
  return errno != 0 || *end != '\0' ? EINVAL : 0;
}

static void say_unreadable(char *reason, const char *path, int error) {
  if (error == EACCES || error == EPERM) {
    say(reason,
        "%s: permission denied: readable by root only; ask an administrator to let it be read "
        "(chmod a+r)",
        path);
  } else if (error == EINVAL) {
    say(reason, "%s: not a number of microjoules", path);
  } else {
    say(reason, "%s: %s", path, strerror(error));
  }
}

/* ---- zones ---- */

/* Other kinds, such as intel-rapl-mmio:0, show the same counters again. */
static bool parse_entry(const char *entry, int *package, int *part) {
  int end = 0;
  *part = -1;
  if (sscanf(entry, "intel-rapl:%d%n", package, &end) != 1) return false;
  if (entry[end] == '\0') return true;
  return sscanf(entry, "intel-rapl:%d:%d%n", package, part, &end) == 2 && entry[end] == '\0';
}

static void free_zone(zone *z) {
  free(z->folder);
  free(z->counter);
  *z = (zone){0};
}

static lrp_status add_zone(lrp_energy *e, const char *root, const char *entry) {
  zone z = {0};
  if (!parse_entry(entry, &z.package, &z.part)) return LRP_OK;
  const size_t bytes = (e->n_zones + 1) * sizeof *e->zones;
  zone *zones = realloc(e->zones, bytes);
  if (!zones) return lrp_fail_memory(bytes, "energy counters");
  e->zones = zones;
  z.folder = lrp_path_join(root, entry);
  z.counter = z.folder ? lrp_path_join(z.folder, "energy_uj") : NULL;
  e->zones[e->n_zones++] = z;
  return z.counter ? LRP_OK : LRP_ERR_MEM;
}

static int compare_zones(const void *a, const void *b) {
  const zone *x = a, *y = b;
  if (x->package != y->package) return x->package < y->package ? -1 : 1;
  return (x->part > y->part) - (x->part < y->part);
}

static void say_none(char *reason, const char *root) {
  say(reason,
      "no powercap counters below %s: a virtual machine or container, or the kernel module "
      "intel_rapl_msr is not loaded",
      root);
}

static lrp_status list_zones(lrp_energy *e, const char *root, char *reason) {
  lrp_status st = LRP_OK;
  DIR *dir = opendir(root);
  if (!dir) {
    if (errno == ENOENT) {
      say_none(reason, root);
    } else {
      say(reason, "%s: %s", root, strerror(errno));
    }
    return LRP_OK;
  }
  errno = 0;
  for (struct dirent *entry; st == LRP_OK && (entry = readdir(dir)); errno = 0) {
    st = add_zone(e, root, entry->d_name);
  }
  if (st == LRP_OK && errno != 0) say(reason, "%s: %s", root, strerror(errno));
  closedir(dir);
  if (e->n_zones > 1) qsort(e->zones, e->n_zones, sizeof *e->zones, compare_zones);
  return st;
}

static lrp_status name_zone(zone *z, char *reason) {
  char *path = lrp_path_join(z->folder, "name");
  if (!path) return LRP_ERR_MEM;
  const int error = read_line(path, z->name, sizeof z->name);
  if (error != 0) say(reason, "%s: %s", path, strerror(error));
  free(path);
  return LRP_OK;
}

/* Keep packages ("package-0", "package-0-die-1") and their memory. Packages lie before their parts,
 *  so package is that of the last one kept. */
static lrp_status keep_zones(lrp_energy *e, const char *root, char *reason) {
  int package = -1;
  size_t kept = 0;
  lrp_status st = LRP_OK;
  for (size_t i = 0; i < e->n_zones; i++) {
    zone *z = &e->zones[i];
    if (st == LRP_OK && reason[0] == '\0') st = name_zone(z, reason);
    const bool is_package = z->part < 0 && strncmp(z->name, "package", 7) == 0;
    const bool is_memory = z->package == package && strcmp(z->name, "dram") == 0;
    if (is_package) package = z->package;
    if (is_package || is_memory) {
      e->zones[kept++] = *z;
    } else {
      free_zone(z);
    }
  }
  e->n_zones = kept;
  if (kept == 0 && reason[0] == '\0') say_none(reason, root);
  return st;
}

/* ---- counting ---- */

static lrp_status start_zone(zone *z, char *reason) {
  char *path = lrp_path_join(z->folder, "max_energy_range_uj");
  if (!path) return LRP_ERR_MEM;
  int error = read_number(path, &z->range);
  if (error == 0 && z->range == 0) error = EINVAL;
  if (error != 0) {
    say_unreadable(reason, path, error);
  } else {
    error = read_number(z->counter, &z->last);
    if (error == 0 && z->last > z->range) error = EINVAL;
    if (error != 0) say_unreadable(reason, z->counter, error);
  }
  free(path);
  return LRP_OK;
}

static lrp_status list_domains(lrp_energy *e) {
  const size_t bytes = e->n_zones * (name_size + 2) + 1;
  size_t used = 0;
  e->domains = malloc(bytes);
  if (!e->domains) return lrp_fail_memory(bytes, "energy counters");
  e->domains[0] = '\0';
  for (size_t i = 0; i < e->n_zones; i++) {
    used += (size_t)snprintf(e->domains + used, bytes - used, "%s%s", i > 0 ? ", " : "",
                             e->zones[i].name);
  }
  return LRP_OK;
}

lrp_status lrp_energy_open(const char *root, lrp_energy **energy, char reason[LRP_ENERGY_REASON]) {
  lrp_energy *e = calloc(1, sizeof *e);

  *energy = NULL;
  reason[0] = '\0';
  if (!e) return lrp_fail_memory(sizeof *e, "energy counters");
  lrp_status st = list_zones(e, root, reason);
  if (st == LRP_OK && reason[0] == '\0') st = keep_zones(e, root, reason);
  if (st == LRP_OK && reason[0] == '\0') st = list_domains(e);
  for (size_t i = 0; st == LRP_OK && reason[0] == '\0' && i < e->n_zones; i++) {
    st = start_zone(&e->zones[i], reason);
  }
  if (st != LRP_OK || reason[0] != '\0') lrp_energy_close(&e);
  *energy = e;
  return st;
}

void lrp_energy_close(lrp_energy **energy) {
  lrp_energy *e = *energy;
  if (!e) return;
  for (size_t i = 0; i < e->n_zones; i++) free_zone(&e->zones[i]);
  free(e->zones);
  free(e->domains);
  free(e);
  *energy = NULL;
}

/* A counter that is less than before was full in between. */
static bool advance(zone *z, uint64_t *total) {
  uint64_t now;
  if (read_number(z->counter, &now) != 0 || now > z->range) return false;
  *total += now >= z->last ? now - z->last : z->range - z->last + now;
  z->last = now;
  return true;
}

double lrp_energy_joules(lrp_energy *e) {
  if (!e) return NAN;
  for (size_t i = 0; i < e->n_zones && !e->lost; i++) e->lost = !advance(&e->zones[i], &e->total);
  return e->lost ? NAN : 1e-6 * (double)e->total;
}

const char *lrp_energy_domains(const lrp_energy *e) {
  return e->domains;
}
