/** @file pipeline/eta.h
 *  How long work is going to take, from what was predicted and what was measured; as text, too.
 *  Pure arithmetic. */
#ifndef LRP_PIPELINE_ETA_H
#define LRP_PIPELINE_ETA_H

#include <stdint.h>

/** Work as it stands. Costs have any unit. */
typedef struct {
  double cost;             /* of all that was open when it began */
  double seconds_per_cost; /* that one worker was predicted to need; <= 0: not known */
  double workers;          /* at a time; below 1 where something else holds them up; <= 0: 1 */
  int64_t open;            /* items that are not done */
  double done_cost;        /* since it began */
  double done_seconds;     /* that workers spent on done_cost, summed over them */
} lrp_eta;

/** Seconds until the end, counted from when the last item was done: what is open at the measured
 *  speed, or at the predicted one where nothing has been measured; workers without an item do not
 *  help. Local. @return >= 0; -1: not known. Never NaN. */
double lrp_eta_seconds(const lrp_eta *eta);

/** 100 done / total, rounded down: 100 only if all is done, also for total <= 0. Local. */
int lrp_percent(int64_t done, int64_t total);

/** "0:01:10": hours, minutes, seconds; at most 9999:59:59; seconds < 0 or NaN: "?". Local.
 *  @return text */
enum { LRP_ETA_TEXT = 16 };
const char *lrp_eta_text(double seconds, char text[LRP_ETA_TEXT]);

/** "12 of 40 blocks (30 %), about 0:01:10 to go"; without the time if it is not known, or below
 * half a second. Local. @return text */
enum { LRP_ETA_LINE = 160 };
const char *lrp_eta_line(int64_t done, int64_t total, const char *items, double seconds,
                         char text[LRP_ETA_LINE]);

#endif
