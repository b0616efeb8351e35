#include "pipeline/doctor_calibrate.h"

#include <stdio.h>
#include <stdlib.h>

#include "kernels/log.h"
#include "pipeline/calibration.h"
#include "pipeline/measure.h"

static const double budget_s = 60.0;
static const int64_t node_bytes = 512LL << 20;

static void say(const lrp_cost *cost, const lrp_machine *machine, const char *path,
                lrp_findings *f) {
  const double giga = 1e9, mega = 1e6;
  const int large = 1;
  lrp_finding_ok(
      f, "calibration",
      "each process rank, with %d on a node and OMP_NUM_THREADS=%d: Gram matrix %.1f GF/s, "
      "eigenvalues %.1f, "
      "eigenvectors %.1f, finish %.1f; reads %.0f MB/s, writes %.0f MB/s; kept in %s",
      machine->ranks, machine->threads, cost->speed[LRP_COST_GRAM_BF16][large] / giga,
      cost->speed[LRP_COST_EIGEN][large] / giga, cost->speed[LRP_COST_BACK][large] / giga,
      cost->speed[LRP_COST_FINISH][large] / giga, cost->speed[LRP_COST_READ][large] / mega,
      cost->speed[LRP_COST_WRITE][large] / mega, path);
}

/* On process rank 0. */
static lrp_status keep(const lrp_topology *topo, const lrp_cost *cost, lrp_findings *f) {
  const lrp_machine machine = lrp_machine_of(topo);
  char *path = NULL;
  lrp_status st = lrp_calibration_path(&path);
  if (st == LRP_OK) st = lrp_calibration_save(&machine, cost);
  if (st == LRP_OK) say(cost, &machine, path, f);
  free(path);
  return st;
}

lrp_status lrp_doctor_calibrate(const lrp_topology *topo, const char *dir, lrp_findings *f) {
  lrp_cost cost = lrp_cost_guess(topo->threads);
  lrp_status st = lrp_agree(topo->me == 0 ? lrp_calibration_prepare() : LRP_OK, topo->comm);
  if (st == LRP_OK && topo->me == 0) lrp_log("measuring speeds, for a minute or two");
  if (st == LRP_OK) st = lrp_measure_computing(topo, budget_s, &cost);
  if (st == LRP_OK) st = lrp_measure_files(topo, dir, node_bytes, &cost);
  if (st == LRP_OK && topo->me == 0) st = keep(topo, &cost, f);
  return lrp_agree(st, topo->comm);
}

lrp_status lrp_check_speeds(const lrp_topology *topo, lrp_findings *f) {
  const lrp_machine machine = lrp_machine_of(topo);
  lrp_calibration c;
  char text[LRP_CALIBRATION_TEXT];
  const lrp_status st = lrp_calibration_load(&machine, &c);
  if (st == LRP_OK) lrp_finding_ok(f, "predictions", "%s", lrp_calibration_text(&c, text));
  return st;
}
