/** @file pipeline/paper_points.h
 *  What Moar et al. have published of Llama-2-7B-chat: accuracy, and savings of latency, energy and
 *  memory at ten sizes; Tucker decompositions of rank 1 of all tensors of some layers.
 *
 *  Source: the figures of the artifact of "Characterizing the Accuracy-Efficiency Trade-off of
 *  Low-rank Decomposition in Language Models" (IISWC 2024, arXiv:2405.06626), E5 and E6. Savings
 *  are percent of the undecomposed model's value on the same benchmark, on four GPUs. */
#ifndef LRP_PIPELINE_PAPER_POINTS_H
#define LRP_PIPELINE_PAPER_POINTS_H

enum { LRP_PAPER_SIZES = 10, LRP_PAPER_BENCHMARKS = 6 };

/** Reduction of the parameters in percent, ascending. */
extern const double lrp_paper_reduction[LRP_PAPER_SIZES];

typedef struct {
  const char *task, *metric;       /* as lrpipe names them */
  int documents;                   /* of the benchmark */
  double percent[LRP_PAPER_SIZES]; /* score; NaN: not published */
} lrp_paper_accuracy;

/** The published scores of a benchmark, or NULL. Local. */
const lrp_paper_accuracy *lrp_paper_accuracy_find(const char *task, const char *metric);

typedef enum { LRP_PAPER_LATENCY, LRP_PAPER_ENERGY, LRP_PAPER_MEMORY } lrp_paper_quantity;

typedef struct {
  double slope;                                         /* % saved per 1 % of parameters */
  double saving[LRP_PAPER_BENCHMARKS][LRP_PAPER_SIZES]; /* % */
  double mean[LRP_PAPER_SIZES], low[LRP_PAPER_SIZES], high[LRP_PAPER_SIZES]; /* over benchmarks */
} lrp_paper_savings;

/** The published savings. Local. */
lrp_paper_savings lrp_paper_savings_of(lrp_paper_quantity quantity);

#endif
