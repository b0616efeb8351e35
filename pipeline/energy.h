/** @file pipeline/energy.h
 *  Energy that the processors and their memory take, counted by the hardware.
 *
 *  Linux shows the counters of RAPL (Intel's, and AMD's under the same names) as files:
 *  intel-rapl:N/energy_uj of each package, intel-rapl:N:M/energy_uj of its parts. Added are
 *  packages and their memory (dram), which is not part of a package; core and uncore are, and psys
 *  holds all. Counters are those of the whole node, whoever uses it. They advance about once per
 *  millisecond: intervals much shorter than 50 ms mean little.
 *  Source: Documentation/power/powercap/powercap.rst of Linux. */
#ifndef LRP_PIPELINE_ENERGY_H
#define LRP_PIPELINE_ENERGY_H

#include "kernels/status.h"

/** Room for the reason why there is no energy. */
enum { LRP_ENERGY_REASON = 512 };

/** Where Linux has the counters. */
#define LRP_ENERGY_ROOT "/sys/class/powercap"

typedef struct lrp_energy lrp_energy;

/** Start to count. Local.
 *  All packages and all of their memory, or nothing: a part of the energy could not be compared.
 *  That there is nothing is a fact and no failure: *energy is NULL, and reason says in one line
 *  why, and what may help.
 *  @param root         LRP_ENERGY_ROOT, or another folder of the same form, for tests
 *  @param[out] energy  to be released with lrp_energy_close, or NULL
 *  @param[out] reason  "" if there is energy
 *  @return LRP_OK, LRP_ERR_MEM: then *energy is NULL */
lrp_status lrp_energy_open(const char *root, lrp_energy **energy, char reason[LRP_ENERGY_REASON]);

/** Release; sets *energy to NULL; accepts NULL. Local. */
void lrp_energy_close(lrp_energy **energy);

/** Joules since lrp_energy_open; differences of two calls are those of the time between. Local.
 *  Counters start again at zero when they are full, after minutes under load: that is seen if this
 *  is called more often than that.
 *  NaN, from then on, once a counter cannot be read or is out of its range; also for NULL. */
double lrp_energy_joules(lrp_energy *energy);

/** What is added, by the names that Linux has for them: "package-0, dram". Local; borrowed. */
const char *lrp_energy_domains(const lrp_energy *energy);

#endif
