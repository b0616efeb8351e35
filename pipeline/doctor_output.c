#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "io/ledger/lock.h"
#include "pipeline/doctor_facts.h"

enum { probe_bytes = 1 << 16, looks = 20, slow_ms = 1000 };

static const double mib = 1024.0 * 1024.0;

/* ---- The file system ------------------------------------------------------------------------- */

static const char *file_system_name(const char *dir) {
  static const struct {
    unsigned long magic;
    const char *name;
  } known[] = {
      {0xef53, "ext4"},     {0x58465342, "xfs"},     {0x9123683e, "btrfs"}, {0x01021994, "tmpfs"},
      {0x6969, "nfs"},      {0x0bd00bd0, "lustre"},  {0x47504653, "gpfs"},  {0x19830326, "beegfs"},
      {0x00c36400, "ceph"}, {0x794c7630, "overlay"}, {0x2fc12fc1, "zfs"},   {0x65735546, "fuse"},
      {0xff534d42, "cifs"}, {0xfe534d42, "smb2"},    {0x01021997, "9p"},    {0x858458f6, "ramfs"}};
  struct statfs s;

  if (statfs(dir, &s) != 0) return "unknown";
  for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
    if (((unsigned long)s.f_type & 0xffffffffUL) == known[i].magic) return known[i].name;
  }
  return "of a kind that lrpipe does not know";
}

static bool is_memory(const char *name) {
  return strcmp(name, "tmpfs") == 0 || strcmp(name, "ramfs") == 0;
}

static void check_file_system(const char *dir, lrp_findings *f) {
  const char *name = file_system_name(dir);

  if (is_memory(name)) {
    lrp_finding_warn(f, "file system", "choose an output on a disk",
                     "%s is %s: it takes memory, and is empty after a reboot", dir, name);
  } else {
    lrp_finding_ok(f, "file system", "%s is %s", dir, name);
  }
}

/* ---- A probe file ---------------------------------------------------------------------------- */

int lrp_nearest_directory(const char *output, char *dir, size_t size) {
  struct stat s;

  snprintf(dir, size, "%s", *output ? output : ".");
  while (stat(dir, &s) != 0) {
    char *slash = strrchr(dir, '/');
    if (errno != ENOENT && errno != ENOTDIR) return errno;
    if (strcmp(dir, ".") == 0 || strcmp(dir, "/") == 0) return errno;
    if (!slash) {
      strcpy(dir, ".");
    } else if (slash == dir) {
      strcpy(dir, "/");
    } else {
      *slash = '\0';
    }
  }
  return S_ISDIR(s.st_mode) ? 0 : ENOTDIR;
}

static lrp_status status_of(int error) {
  return error == EACCES || error == EPERM || error == EROFS ? LRP_ERR_PERM : LRP_ERR_CREATE;
}

static double milliseconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return 1e3 * (double)t.tv_sec + 1e-6 * (double)t.tv_nsec;
}

/* A negative answer of fallocate is one that a run meets: it then only looks at the free space. */
static void check_reservation(int fd, lrp_findings *f) {
  if (fallocate(fd, 0, 0, probe_bytes) == 0) {
    lrp_finding_ok(f, "reservation", "the file system reserves space (fallocate)");
  } else if (errno == ENOSPC || errno == EDQUOT) {
    lrp_finding_bad(f, LRP_ERR_CREATE, "reservation", "free some space, or raise the quota",
                    "not even %d bytes can be reserved: %s", probe_bytes, strerror(errno));
  } else {
    lrp_finding_warn(f, "reservation", "keep more space free than lrpipe plan says",
                     "the file system cannot reserve space (%s): a disk that fills up during the "
                     "run stops it",
                     strerror(errno));
  }
}

static void check_write(int fd, lrp_findings *f) {
  char block[4096];
  const double start = milliseconds();

  memset(block, 0x5a, sizeof block);
  if (pwrite(fd, block, sizeof block, 0) != (ssize_t)sizeof block || fsync(fd) != 0) {
    lrp_finding_bad(f, LRP_ERR_IO, "fsync", "choose an output on another file system",
                    "a block cannot be brought to disk: %s", strerror(errno));
  } else if (milliseconds() - start > slow_ms) {
    lrp_finding_warn(f, "fsync", "choose an output on a faster file system",
                     "%.0f ms for one block; each unit waits for four", milliseconds() - start);
  } else {
    lrp_finding_ok(f, "fsync", "%.1f ms for one block", milliseconds() - start);
  }
}

/* Open MPI does not tell which driver opened a file, but follows this variable, which mpirun --mca
 * sets, too. Of MPI_COMM_SELF: only process rank 0 comes here. */
static void check_driver(const char *probe, lrp_findings *f) {
  static const char remedy[] = "unset OMPI_MCA_io: lrpipe then chooses ROMIO (romio321)";
  const char *driver = getenv("OMPI_MCA_io");
  MPI_File file;

  if (!driver) driver = "not set";
  if (MPI_File_open(MPI_COMM_SELF, probe, MPI_MODE_RDWR, MPI_INFO_NULL, &file) != MPI_SUCCESS) {
    lrp_finding_bad(f, LRP_ERR_CREATE, "MPI-IO", remedy, "cannot open a file (OMPI_MCA_io is %s)",
                    driver);
    return;
  }
  MPI_File_close(&file);
  if (strncmp(driver, "romio", strlen("romio")) == 0) {
    lrp_finding_ok(f, "MPI-IO", "ROMIO (OMPI_MCA_io is %s)", driver);
  } else {
    lrp_finding_warn(f, "MPI-IO", remedy,
                     "OMPI_MCA_io is %s: other drivers than ROMIO may deadlock or lose data (HDF5 "
                     "issue 1227)",
                     driver);
  }
}

/* Make the probe file, on process rank 0. Returns whether it is there. */
static bool make_probe(const char *output, const char *dir, const char *probe, lrp_findings *f) {
  const int fd = open(probe, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

  if (fd < 0) {
    lrp_finding_bad(f, status_of(errno), "output",
                    "choose another output, or get permission to write there",
                    "%s: nothing can be created in %s: %s", output, dir, strerror(errno));
    return false;
  }
  lrp_finding_ok(f, "output", "%s: %s can be written", output, dir);
  check_write(fd, f);
  check_reservation(fd, f);
  close(fd);
  check_driver(probe, f);
  return true;
}

/* Whether the probe is seen from here; a network file system may take a moment. */
static bool sees(const char *probe) {
  for (int i = 0; i < looks; i++) {
    if (access(probe, F_OK) == 0) return true;
    nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
  }
  return false;
}

/* Collective: each host looks for the file of process rank 0. */
static void check_shared(const lrp_topology *topo, const char *probe, lrp_findings *f) {
  int blind = topo->size; /* least process rank that does not see it */

  if (topo->n_nodes == 1) return;
  if (!sees(probe)) blind = topo->me;
  MPI_Allreduce(MPI_IN_PLACE, &blind, 1, MPI_INT, MPI_MIN, topo->comm);
  if (topo->me != 0) return;
  if (blind == topo->size) {
    lrp_finding_ok(f, "shared", "all %d hosts see the directory of the output", topo->n_nodes);
  } else {
    lrp_finding_bad(f, LRP_ERR_CREATE, "shared", "choose an output on a file system of all hosts",
                    "process rank %d does not see the directory of process rank 0", blind);
  }
}

/* ---- Space and lock -------------------------------------------------------------------------- */

/* Bytes of the factors that are there already, and need no further space. */
static double stored_bytes(const char *output) {
  char path[PATH_MAX + 16];
  struct stat s;

  snprintf(path, sizeof path, "%s/factors.h5", output);
  return stat(path, &s) == 0 ? 512.0 * (double)s.st_blocks : 0.0;
}

static void check_file_size(double need, lrp_findings *f) {
  struct rlimit size;

  if (getrlimit(RLIMIT_FSIZE, &size) != 0 || size.rlim_cur == RLIM_INFINITY) return;
  if (need > (double)size.rlim_cur) {
    lrp_finding_bad(f, LRP_ERR_CREATE, "file size", "ulimit -f unlimited",
                    "factors.h5 needs %.0f MiB, files end at %.0f MiB (ulimit -f)", need / mib,
                    (double)size.rlim_cur / mib);
  } else {
    lrp_finding_warn(f, "file size", "ulimit -f unlimited", "files end at %.0f MiB (ulimit -f)",
                     (double)size.rlim_cur / mib);
  }
}

static void check_space(const char *output, const char *dir, const lrp_outlook *o,
                        lrp_findings *f) {
  struct statvfs s;
  const double need = o ? lrp_outlook_disk(o) : 0.0;
  const double stored = stored_bytes(output), more = need > stored ? need - stored : 0.0;

  if (statvfs(dir, &s) != 0) {
    lrp_finding_warn(f, "space", "look with df", "%s: %s", dir, strerror(errno));
    return;
  }
  const double free_bytes = (double)s.f_bavail * (double)s.f_frsize;
  if (o && more > free_bytes) {
    lrp_finding_bad(f, LRP_ERR_CREATE, "space", "free some, or choose another output",
                    "the factors need %.0f MiB more, %.0f MiB are free", more / mib,
                    free_bytes / mib);
  } else if (o) {
    lrp_finding_ok(f, "space", "the factors need %.0f MiB more, %.0f MiB are free", more / mib,
                   free_bytes / mib);
  } else {
    lrp_finding_ok(f, "space", "%.0f MiB are free; name a job to compare", free_bytes / mib);
  }
  check_file_size(need, f);
}

static void check_lock(const char *output, lrp_findings *f) {
  char who[256], path[PATH_MAX + 16];

  snprintf(path, sizeof path, "%s/lock", output);
  if (lrp_lock_holder(output, who, sizeof who)) {
    lrp_finding_bad(f, LRP_ERR_CREATE, "lock", "wait until that run ends, or stop it",
                    "%s is held by %s", output, who);
  } else if (access(path, F_OK) == 0) {
    lrp_finding_ok(f, "lock", "one of a run that is gone: the next run takes it over");
  } else {
    lrp_finding_ok(f, "lock", "free");
  }
}

/* ---- All ------------------------------------------------------------------------------------- */

/* On process rank 0: what needs no other host. Sets probe, which is "" if there is none. */
static void check_directory(const char *output, const lrp_outlook *o, char *probe, size_t size,
                            lrp_findings *f) {
  char dir[PATH_MAX], host[64] = "host";
  const int error = lrp_nearest_directory(output, dir, sizeof dir);

  if (error) {
    lrp_finding_bad(f, status_of(error), "output", "choose another output",
                    "%s: %s is in the way: %s", output, dir, strerror(error));
    return;
  }
  gethostname(host, sizeof host - 1);
  snprintf(probe, size, "%s/.lrpipe-doctor.%s.%ld", dir, host, (long)getpid());
  check_file_system(dir, f);
  if (!make_probe(output, dir, probe, f)) probe[0] = '\0';
  check_space(output, dir, o, f);
  check_lock(output, f);
}

void lrp_check_output(const lrp_topology *topo, const char *output, const lrp_outlook *o,
                      lrp_findings *f) {
  char probe[PATH_MAX + 128] = "";

  if (topo->me == 0) check_directory(output, o, probe, sizeof probe, f);
  MPI_Bcast(probe, sizeof probe, MPI_CHAR, 0, topo->comm);
  if (!probe[0]) return;
  check_shared(topo, probe, f);
  if (topo->me == 0) unlink(probe);
}
