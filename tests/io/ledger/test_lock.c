/* One run per output directory: each process rank contends as a run of its own. */
#include "io/ledger/lock.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <xxhash.h>

#include "tests/mpi_test.h"

static int me, size;
static char directory[] = "/tmp/test_lock.XXXXXX";
static char path[256];

static int setup(void **state) {
  (void)state;
  lrp_failure_clear();
  if (me == 0) unlink(path);
  MPI_Barrier(MPI_COMM_WORLD);
  return 0;
}

/* A lock file as another run would have left it; its last touch is age_s seconds ago. */
static void leave_lock(const char *host, const char *pids, int age_s) {
  struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_nsec = 0}};
  FILE *f = fopen(path, "w");
  assert_non_null(f);
  fprintf(f, "host %s\npid 4711\npids %s\njob 42\nstarted 2026-01-01T00:00:00Z\n", host, pids);
  fclose(f);
  times[1].tv_sec = time(NULL) - age_s;
  assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

static void this_host(char *host, size_t n) {
  assert_int_equal(gethostname(host, n), 0);
}

/* The id of a process that is no more. */
static void dead_process(char *pids, size_t n) {
  const pid_t pid = fork();
  if (pid == 0) _exit(0);
  assert_int_equal(waitpid(pid, NULL, 0), pid);
  snprintf(pids, n, "%d:123", (int)pid);
}

static int files(void) {
  char command[512];
  int n = -1;
  snprintf(command, sizeof command, "ls -A %s | wc -l", directory);
  FILE *f = popen(command, "r");
  assert_non_null(f);
  assert_int_equal(fscanf(f, "%d", &n), 1);
  pclose(f);
  return n;
}

static double now_s(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void test_taken_and_released(void **state) {
  char who[256], expected[320], host[256];
  lrp_lock *lock = NULL;
  int pid = getpid();
  (void)state;

  assert_all_ranks(!lrp_lock_holder(directory, who, sizeof who));
  assert_all_ranks(lrp_lock_take(directory, 0.0, MPI_COMM_WORLD, &lock) == LRP_OK && lock);
  MPI_Bcast(&pid, 1, MPI_INT, 0, MPI_COMM_WORLD);
  this_host(host, sizeof host);
  snprintf(expected, sizeof expected, "%s pid %d job 99", host, pid);
  assert_all_ranks(lrp_lock_holder(directory, who, sizeof who) && strcmp(who, expected) == 0);
  assert_all_ranks(files() == 1);
  MPI_Barrier(MPI_COMM_WORLD);
  lrp_lock_release(&lock);
  MPI_Barrier(MPI_COMM_WORLD);
  assert_all_ranks(!lock && files() == 0);
  lrp_lock_release(&lock);
}

/* All processes of the host are in the file, so that one that outlives process rank 0 counts. */
static void test_all_processes_are_listed(void **state) {
  char text[4096], mine[32];
  lrp_lock *lock = NULL;
  FILE *f;
  size_t n;
  (void)state;

  assert_all_ranks(lrp_lock_take(directory, 0.0, MPI_COMM_WORLD, &lock) == LRP_OK);
  f = fopen(path, "r");
  n = f ? fread(text, 1, sizeof text - 1, f) : 0;
  text[n] = '\0';
  if (f) fclose(f);
  snprintf(mine, sizeof mine, " %d:", (int)getpid());
  assert_all_ranks(strstr(text, "\npids ") && strstr(strstr(text, "\npids "), mine));
  lrp_lock_release(&lock);
  MPI_Barrier(MPI_COMM_WORLD);
}

static void test_one_of_many_wins(void **state) {
  (void)state;
  for (int turn = 0; turn < 50; turn++) {
    lrp_lock *lock = NULL;
    int wins, total;
    lrp_status st;

    lrp_failure_clear();
    MPI_Barrier(MPI_COMM_WORLD);
    st = lrp_lock_take(directory, 0.0, MPI_COMM_SELF, &lock);
    wins = st == LRP_OK;
    MPI_Allreduce(&wins, &total, 1, MPI_INT, MPI_SUM, MPI_COMM_WORLD);
    assert_all_ranks(total == 1 && (st == LRP_OK || st == LRP_ERR_CREATE));
    lrp_lock_release(&lock);
  }
  MPI_Barrier(MPI_COMM_WORLD);
  assert_all_ranks(files() == 0);
}

/* The same over a stale lock: none, or two, never. */
static void test_one_of_many_takes_over(void **state) {
  char host[256], pids[64];
  (void)state;

  this_host(host, sizeof host);
  dead_process(pids, sizeof pids);
  for (int turn = 0; turn < 100; turn++) {
    lrp_lock *lock = NULL;
    int wins, total;

    lrp_failure_clear();
    if (me == 0) leave_lock(host, pids, turn);
    MPI_Barrier(MPI_COMM_WORLD);
    wins = lrp_lock_take(directory, 0.05, MPI_COMM_SELF, &lock) == LRP_OK;
    MPI_Allreduce(&wins, &total, 1, MPI_INT, MPI_SUM, MPI_COMM_WORLD);
    assert_all_ranks(total == 1);
    lrp_lock_release(&lock);
    MPI_Barrier(MPI_COMM_WORLD);
  }
  assert_all_ranks(files() == 0);
}

static void test_dead_process_is_no_holder(void **state) {
  char host[256], pids[64], who[256];
  lrp_lock *lock = NULL;
  const double start = now_s();
  (void)state;

  this_host(host, sizeof host);
  dead_process(pids, sizeof pids);
  if (me == 0) leave_lock(host, pids, 0);
  MPI_Barrier(MPI_COMM_WORLD);
  assert_all_ranks(!lrp_lock_holder(directory, who, sizeof who));
  assert_all_ranks(lrp_lock_take(directory, 30.0, MPI_COMM_WORLD, &lock) == LRP_OK);
  assert_all_ranks(now_s() - start < 10.0);
  lrp_lock_release(&lock);

  /* The number is in use again, by a process that began at another time. */
  MPI_Barrier(MPI_COMM_WORLD);
  snprintf(pids, sizeof pids, "%d:1", (int)getpid());
  if (me == 0) leave_lock(host, pids, 0);
  MPI_Barrier(MPI_COMM_WORLD);
  assert_all_ranks(lrp_lock_take(directory, 0.0, MPI_COMM_WORLD, &lock) == LRP_OK);
  lrp_lock_release(&lock);
}

static void test_live_holder_is_waited_for_then_refused(void **state) {
  char who[256];
  lrp_lock *held = NULL, *lock = NULL;
  double start;
  bool refused = true;
  (void)state;

  if (me == 0) refused = lrp_lock_take(directory, 0.0, MPI_COMM_SELF, &held) == LRP_OK;
  MPI_Barrier(MPI_COMM_WORLD);
  start = now_s();
  refused = refused && lrp_lock_take(directory, 0.5, MPI_COMM_WORLD, &lock) == LRP_ERR_CREATE;
  assert_all_ranks(refused && !lock && now_s() - start >= 0.4);
  assert_all_ranks(me != 0 || strstr(lrp_failure_message(LRP_ERR_CREATE), "job 99"));
  assert_all_ranks(lrp_lock_holder(directory, who, sizeof who));
  assert_all_ranks(files() == 1); /* the loser leaves nothing */
  lrp_lock_release(&held);
  MPI_Barrier(MPI_COMM_WORLD);
}

/* The holder ends while another waits. */
static void test_waits_until_release(void **state) {
  const bool holder = me == 0, waiter = me == size - 1;
  lrp_lock *lock = NULL;
  bool good = true;
  (void)state;

  if (size < 2) skip();
  if (holder) good = lrp_lock_take(directory, 0.0, MPI_COMM_SELF, &lock) == LRP_OK;
  MPI_Barrier(MPI_COMM_WORLD);
  if (holder) nanosleep(&(struct timespec){.tv_nsec = 600000000}, NULL);
  if (holder) lrp_lock_release(&lock);
  if (waiter) {
    good = lrp_lock_take(directory, 20.0, MPI_COMM_SELF, &lock) == LRP_OK;
    lrp_lock_release(&lock);
  }
  assert_all_ranks(good);
}

static void test_other_host_by_heartbeat(void **state) {
  lrp_lock *lock = NULL;
  char who[256];
  (void)state;

  if (me == 0) leave_lock("another-host", "1:1", 20);
  MPI_Barrier(MPI_COMM_WORLD);
  assert_all_ranks(lrp_lock_holder(directory, who, sizeof who) &&
                   strcmp(who, "another-host pid 4711 job 42") == 0);
  assert_all_ranks(lrp_lock_take(directory, 0.3, MPI_COMM_WORLD, &lock) == LRP_ERR_CREATE);
  assert_all_ranks(me != 0 || strstr(lrp_failure_message(LRP_ERR_CREATE), "another-host"));
  MPI_Barrier(MPI_COMM_WORLD);
  if (me == 0) leave_lock("another-host", "1:1", 61);
  MPI_Barrier(MPI_COMM_WORLD);
  assert_all_ranks(!lrp_lock_holder(directory, who, sizeof who));
  assert_all_ranks(lrp_lock_take(directory, 0.0, MPI_COMM_WORLD, &lock) == LRP_OK);
  lrp_lock_release(&lock);
  MPI_Barrier(MPI_COMM_WORLD);
  assert_all_ranks(files() == 0);
}

/* A container with our host name, whose process ids say nothing here. */
static void test_other_pid_space_by_heartbeat(void **state) {
  char host[256], pids[128];
  lrp_lock *lock = NULL;
  (void)state;

  this_host(host, sizeof host);
  dead_process(pids, sizeof pids / 2);
  strcat(pids, "\nspace pid:[1]");
  if (me == 0) leave_lock(host, pids, 0);
  MPI_Barrier(MPI_COMM_WORLD);
  assert_all_ranks(lrp_lock_take(directory, 0.0, MPI_COMM_WORLD, &lock) == LRP_ERR_CREATE);
}

/* Whoever died while replacing a stale lock, and so left the lock of that lock, does not block it
 * for ever. The name is the XXH3 checksum of the content. */
static void test_died_while_taking_over(void **state) {
  char host[256], pids[64], text[1024], guard[512];
  lrp_lock *lock = NULL;
  (void)state;

  this_host(host, sizeof host);
  dead_process(pids, sizeof pids);
  if (me == 0) {
    FILE *f;
    size_t n;
    leave_lock(host, pids, 5);
    f = fopen(path, "r");
    n = fread(text, 1, sizeof text, f);
    fclose(f);
    snprintf(guard, sizeof guard, "%s.%016llx", path, (unsigned long long)XXH3_64bits(text, n));
    f = fopen(guard, "w");
    fprintf(f, "host %s\npid 1\npids %s\njob -\nstarted at another time\n", host, pids);
    fclose(f);
  }
  MPI_Barrier(MPI_COMM_WORLD);
  assert_all_ranks(files() == 2);
  assert_all_ranks(lrp_lock_take(directory, 0.0, MPI_COMM_WORLD, &lock) == LRP_OK);
  lrp_lock_release(&lock);
  MPI_Barrier(MPI_COMM_WORLD);
  assert_all_ranks(files() == 0);
}

static void test_lost_lock_is_left_alone(void **state) {
  char who[256];
  lrp_lock *lock = NULL;
  (void)state;

  assert_all_ranks(lrp_lock_take(directory, 0.0, MPI_COMM_WORLD, &lock) == LRP_OK);
  MPI_Barrier(MPI_COMM_WORLD);
  if (me == 0) {
    unlink(path);
    leave_lock("another-host", "1:1", 0);
  }
  MPI_Barrier(MPI_COMM_WORLD);
  lrp_lock_release(&lock);
  MPI_Barrier(MPI_COMM_WORLD);
  assert_all_ranks(lrp_lock_holder(directory, who, sizeof who) && files() == 1);
  MPI_Barrier(MPI_COMM_WORLD);
}

static void test_places_that_cannot_be_locked(void **state) {
  lrp_lock *lock = NULL;
  (void)state;

  assert_all_ranks(
      lrp_lock_take("/tmp/no/such/place", 0.0, MPI_COMM_WORLD, &lock) == LRP_ERR_CREATE && !lock);
  if (geteuid() != 0) return;
  if (me == 0) chmod(directory, 0755);
  MPI_Barrier(MPI_COMM_WORLD);
  assert_all_ranks(seteuid(65534) == 0);
  assert_all_ranks(lrp_lock_take(directory, 0.0, MPI_COMM_WORLD, &lock) == LRP_ERR_PERM && !lock);
  assert_all_ranks(seteuid(0) == 0);
}

/* A file that says nothing is judged by its age; one that cannot be read does not hang. */
static void test_garbage(void **state) {
  lrp_lock *lock = NULL;
  (void)state;

  if (me == 0) leave_lock("\n\n\n", "\n1:2 x:y 99999999999999999999:1", 61);
  MPI_Barrier(MPI_COMM_WORLD);
  assert_all_ranks(lrp_lock_take(directory, 0.0, MPI_COMM_WORLD, &lock) == LRP_OK);
  lrp_lock_release(&lock);
  MPI_Barrier(MPI_COMM_WORLD);
  if (me == 0) assert_int_equal(symlink("/tmp/nowhere/at/all", path), 0);
  MPI_Barrier(MPI_COMM_WORLD);
  assert_all_ranks(lrp_lock_take(directory, 0.0, MPI_COMM_WORLD, &lock) == LRP_ERR_CREATE);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup(test_taken_and_released, setup),
      cmocka_unit_test_setup(test_all_processes_are_listed, setup),
      cmocka_unit_test_setup(test_one_of_many_wins, setup),
      cmocka_unit_test_setup(test_one_of_many_takes_over, setup),
      cmocka_unit_test_setup(test_dead_process_is_no_holder, setup),
      cmocka_unit_test_setup(test_live_holder_is_waited_for_then_refused, setup),
      cmocka_unit_test_setup(test_waits_until_release, setup),
      cmocka_unit_test_setup(test_other_host_by_heartbeat, setup),
      cmocka_unit_test_setup(test_other_pid_space_by_heartbeat, setup),
      cmocka_unit_test_setup(test_died_while_taking_over, setup),
      cmocka_unit_test_setup(test_lost_lock_is_left_alone, setup),
      cmocka_unit_test_setup(test_places_that_cannot_be_locked, setup),
      cmocka_unit_test_setup(test_garbage, setup),
  };
  int failed;

  setenv("SLURM_JOB_ID", "99", 1);
  MPI_Init(&argc, &argv);
  MPI_Comm_rank(MPI_COMM_WORLD, &me);
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  if (me == 0 && !mkdtemp(directory)) MPI_Abort(MPI_COMM_WORLD, 1);
  MPI_Bcast(directory, sizeof directory, MPI_CHAR, 0, MPI_COMM_WORLD);
  snprintf(path, sizeof path, "%s/lock", directory);
  failed = cmocka_run_group_tests(tests, NULL, NULL);
  MPI_Barrier(MPI_COMM_WORLD);
  if (me == 0) {
    unlink(path);
    rmdir(directory);
  }
  MPI_Finalize();
  return failed;
}
