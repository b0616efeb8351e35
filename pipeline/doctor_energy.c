#include "pipeline/doctor_facts.h"
#include "pipeline/energy.h"

void lrp_check_energy(const lrp_outlook *o, lrp_findings *f) {
  char reason[LRP_ENERGY_REASON];
  lrp_energy *energy;

  if (!o || !o->job.measure.given) return;
  if (lrp_energy_open(LRP_ENERGY_ROOT, &energy, reason) != LRP_OK) {
    lrp_failure_clear(); /* out of memory for a few names: the run will say it */
    return;
  }
  if (energy) {
    lrp_finding_ok(f, "energy", "counted: %s", lrp_energy_domains(energy));
  } else {
    lrp_finding_warn(f, "energy",
                     "nothing, if time and memory will do: energy is left empty, never guessed",
                     "cannot be measured: %s", reason);
  }
  lrp_energy_close(&energy);
}
