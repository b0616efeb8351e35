#include "pipeline/eta.h"

#include <math.h>
#include <stdio.h>

/* Longer than that is as good as for ever. */
static const double longest_s = 9999.0 * 3600.0 + 59.0 * 60.0 + 59.0;

static double speed(const lrp_eta *eta) {
  const double measured = eta->done_cost > 0.0 ? eta->done_seconds / eta->done_cost : 0.0;
  return measured > 0.0 && isfinite(measured) ? measured : eta->seconds_per_cost;
}

double lrp_eta_seconds(const lrp_eta *eta) {
  if (eta->open <= 0) return 0.0;
  const double open = fmax(0.0, eta->cost - eta->done_cost);
  double workers = eta->workers > 0.0 ? eta->workers : 1.0;
  if (workers > (double)eta->open) workers = (double)eta->open;
  const double per_cost = speed(eta), seconds = open * per_cost / workers;
  return per_cost > 0.0 && isfinite(seconds) ? seconds : -1.0;
}

int lrp_percent(int64_t done, int64_t total) {
  if (total <= 0 || done >= total) return 100;
  if (done <= 0) return 0;
  const int percent = (int)floor(100.0 * (double)done / (double)total);
  return percent < 99 ? percent : 99;
}

const char *lrp_eta_text(double seconds, char text[LRP_ETA_TEXT]) {
  if (!(seconds >= 0.0)) {
    snprintf(text, LRP_ETA_TEXT, "?");
    return text;
  }
  const int64_t s = (int64_t)llround(fmin(seconds, longest_s));
  snprintf(text, LRP_ETA_TEXT, "%d:%02d:%02d", (int)(s / 3600), (int)(s / 60 % 60), (int)(s % 60));
  return text;
}

const char *lrp_eta_line(int64_t done, int64_t total, const char *items, double seconds,
                         char text[LRP_ETA_LINE]) {
  char time[LRP_ETA_TEXT];
  const int used = snprintf(text, LRP_ETA_LINE, "%lld of %lld %s (%d %%)", (long long)done,
                            (long long)total, items, lrp_percent(done, total));
  if (seconds >= 0.5 && used >= 0 && used < LRP_ETA_LINE) {
    snprintf(text + used, (size_t)(LRP_ETA_LINE - used), ", about %s to go",
             lrp_eta_text(seconds, time));
  }
  return text;
}
