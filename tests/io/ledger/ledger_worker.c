/* A run that the kill test kills. ledger_worker create|run|check|full FILE
 *   create  plan the ledger            run   write every open unit (under mpirun), slowly
 *   check   what is done must be right; prints the number of done units; full: all must be done */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "io/ledger/ledger.h"
#include "tests/io/ledger/fixture.h"

static lrp_status run(const char *path, const fixture *f) {
  lrp_ledger *ledger = NULL;
  int me, size;
  lrp_status st = lrp_ledger_open(path, FIXTURE_FORMAT, MPI_COMM_WORLD, &ledger);

  MPI_Comm_rank(MPI_COMM_WORLD, &me);
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  if (st == LRP_OK && me == 0) {
    printf("opened\n");
    fflush(stdout);
  }
  for (int64_t i = me; st == LRP_OK && i < fixture_units; i += size) {
    if (lrp_ledger_done(ledger, i, NULL)) continue;
    st = fixture_write(ledger, f, i, 1);
    if (st == LRP_OK) st = lrp_ledger_flush_after(ledger, i % 3 == 0 ? 0.0 : 0.02);
    nanosleep(&(struct timespec){.tv_nsec = 40000000 + 7000000 * (i % 5)}, NULL);
  }
  st = lrp_agree(st, MPI_COMM_WORLD);
  if (st == LRP_OK) st = lrp_ledger_close(&ledger);
  return st;
}

static lrp_status check(const char *path, const fixture *f, bool full) {
  lrp_ledger *ledger = NULL;
  int64_t done = 0, verified = 0, bad = 0;
  lrp_status st = lrp_ledger_open_readonly(path, FIXTURE_FORMAT, &ledger);

  if (st == LRP_OK) st = lrp_ledger_verify(ledger, &verified, &bad, NULL, NULL);
  for (int64_t i = 0; st == LRP_OK && i < fixture_units; i++) {
    if (!lrp_ledger_done(ledger, i, NULL)) continue;
    if (!fixture_right(ledger, f, i)) st = lrp_fail(LRP_ERR_DATA, "unit %d is wrong", (int)i);
    done++;
  }
  if (st == LRP_OK && (verified != done || bad != 0 || (full && done < fixture_units))) {
    st = lrp_fail(LRP_ERR_DATA, "%d done, %d verified, %d bad", (int)done, (int)verified, (int)bad);
  }
  printf("%d\n", (int)done);
  lrp_ledger_close(&ledger);
  return st;
}

int main(int argc, char **argv) {
  const char *verb = argc == 3 ? argv[1] : "";
  MPI_Comm comm = MPI_COMM_NULL;
  lrp_status st = LRP_ERR_USAGE;
  fixture f;

  fixture_init(&f, 2000);
  if (strcmp(verb, "create") == 0) st = lrp_ledger_create(argv[2], &f.plan);
  if (strcmp(verb, "check") == 0) st = check(argv[2], &f, false);
  if (strcmp(verb, "full") == 0) st = check(argv[2], &f, true);
  if (strcmp(verb, "run") == 0) {
    setenv("OMPI_MCA_io", "romio321", 1);
    MPI_Init(&argc, &argv);
    comm = MPI_COMM_WORLD;
    st = run(argv[2], &f);
  }
  if (st != LRP_OK) lrp_report_failure(st, comm);
  if (comm != MPI_COMM_NULL) MPI_Finalize();
  fixture_free(&f);
  return lrp_status_exit_code(st);
}
