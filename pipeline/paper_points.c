#include "pipeline/paper_points.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

const double lrp_paper_reduction[LRP_PAPER_SIZES] = {6.00,  9.01,  15.01, 21.02, 33.02,
                                                     48.03, 60.04, 75.05, 84.06, 96.07};

static const lrp_paper_accuracy accuracies[] = {
    {"arc_easy",
     "acc",
     2376,
     {69.57, 66.20, 62.08, 52.86, 43.81, 25.76, 25.88, 25.97, 25.84, 25.63}},
    {"arc_challenge",
     "acc",
     1172,
     {39.59, 36.43, 33.79, 29.52, 23.81, 22.01, 22.18, 23.21, 22.44, 23.12}},
    {"hellaswag",
     "acc",
     10042,
     {53.52, 49.87, 45.09, 41.81, 32.18, 25.85, 25.76, 25.69, 25.41, 25.56}},
    {"mmlu", "acc", 14042, {35.30, 35.81, 26.83, 29.55, 24.33, 25.34, 22.95, 25.47, 27.08, 24.41}},
    {"truthfulqa",
     "acc",
     817,
     {29.53, 30.69, 25.70, 31.36, 30.62, 32.63, NAN, 31.30, 33.31, 31.86}},
    {"winogrande",
     "acc",
     1267,
     {63.54, 61.88, 61.01, 57.14, 52.88, 50.12, 50.51, 49.09, 48.07, 49.49}},
    {"gsm8k",
     "exact_match/strict-match",
     1319,
     {8.72, 2.58, 0.53, 0.00, NAN, NAN, NAN, NAN, NAN, NAN}},
};

enum { undecomposed = 1 };

/* Seconds per batch, joules per batch of all GPUs, MiB of one GPU; the first is undecomposed.
 * Benchmarks in the order of the artifact: ARC Easy, ARC Challenge, HellaSwag, MMLU, TruthfulQA,
 * WinoGrande. */
static const double published[][LRP_PAPER_BENCHMARKS][undecomposed + LRP_PAPER_SIZES] =
    {
        [LRP_PAPER_LATENCY] =
            {
                {0.2496, 0.2441, 0.2399, 0.2308, 0.2211, 0.2029, 0.1800, 0.1622, 0.1412, 0.1294,
                 0.1118},
                {0.2904, 0.2815, 0.2766, 0.2661, 0.2533, 0.2336, 0.2065, 0.1847, 0.1606, 0.1456,
                 0.1258},
                {0.5918, 0.5719, 0.5614, 0.5390, 0.5139, 0.4682, 0.4092, 0.3633, 0.3086, 0.2765,
                 0.2318},
                {0.5183,
                 0.5003, 0.5075, 0.4875, 0.4673, 0.4276, 0.3806, 0.3410, 0.2948, 0.2669, 0.2374},
                {1.5252,
                 1.4685, 1.4434, 1.3824, 1.3179, 1.2020, 1.0481, 0.9291, 0.7882, 0.7037, 0.5884},
                {0.1816,
                 0.1779, 0.1748, 0.1691, 0.1632, 0.1506, 0.1352, 0.1224, 0.1089, 0.1008, 0.0892},
            },
        [LRP_PAPER_ENERGY] =
            {
                {271.8, 265.2, 261.9, 254.0, 242.7, 216.0, 191.3, 171.4, 144.4, 125.3, 105.5},
                {320.1, 311.2, 301.9, 292.6, 279.2, 252.9, 218.9, 197.0, 167.6, 142.4, 119.3},
                {679.5, 656.5, 637.3, 610.7, 584.8, 515.2, 453.2, 396.0, 336.5, 295.1, 246.6},
                {589.5, 570.9, 567.0, 541.7, 519.8, 476.9, 419.0, 379.5, 321.2, 287.6, 250.0},
                {1695.9, 1637.3, 1592.7, 1510.9, 1463.5, 1329.8, 1147.2, 997.7, 881.1, 768.7,
                 613.4},
                {198.2, 191.3, 190.2, 180.0, 168.4, 155.5, 141.0, 124.7, 106.9, 88.8, 75.7},
            },
        [LRP_PAPER_MEMORY] =
            {
                {26045, 25356, 24969, 24151, 23393, 21880, 19929, 18405, 16469, 15357, 13685},
                {27133, 26450, 26112, 25350, 24446, 23020, 21115, 19559, 17521, 16526, 14965},
                {26194, 25509, 25123, 24263, 23510, 22029, 20097, 18547, 16635, 15404, 13928},
                {50499, 49801, 50262, 49600, 48844, 47428, 46789, 45223, 43326, 42737, 42787},
                {33676, 32810, 32448, 31702, 31044, 29361, 27149, 26097, 23901, 23024, 21349},
                {16891, 16166, 15779, 15008, 14237, 12700, 10770, 9228, 7298, 6174, 4597},
            },
};

/* Least squares through the origin over the means of the six benchmarks. */
static const double slopes[] = {
    [LRP_PAPER_LATENCY] = 0.59, [LRP_PAPER_ENERGY] = 0.64, [LRP_PAPER_MEMORY] = 0.46};

const lrp_paper_accuracy *lrp_paper_accuracy_find(const char *task, const char *metric) {
  for (size_t i = 0; task && metric && i < sizeof accuracies / sizeof *accuracies; i++) {
    const lrp_paper_accuracy *a = &accuracies[i];
    if (strcmp(a->task, task) == 0 && strcmp(a->metric, metric) == 0) return a;
  }
  return NULL;
}

lrp_paper_savings lrp_paper_savings_of(lrp_paper_quantity quantity) {
  lrp_paper_savings s = {.slope = slopes[quantity]};
  for (int i = 0; i < LRP_PAPER_SIZES; i++) {
    s.low[i] = INFINITY;
    s.high[i] = -INFINITY;
    for (int b = 0; b < LRP_PAPER_BENCHMARKS; b++) {
      const double *row = published[quantity][b];
      const double saving = 100.0 * (1.0 - row[undecomposed + i] / row[0]);
      s.saving[b][i] = saving;
      s.mean[i] += saving / LRP_PAPER_BENCHMARKS;
      s.low[i] = fmin(s.low[i], saving);
      s.high[i] = fmax(s.high[i], saving);
    }
  }
  return s;
}
