/** @file pipeline/space_parts.h
 *  The parts of lrpipe space (pipeline/space.h): what it is about, and how that is shown. */
#ifndef LRP_PIPELINE_SPACE_PARTS_H
#define LRP_PIPELINE_SPACE_PARTS_H

#include <jansson.h>

#include "pipeline/options.h"
#include "pipeline/plan.h"
#include "pipeline/sampler.h"
#include "pipeline/space_count.h"

typedef enum { LRP_SPACE_TABLE, LRP_SPACE_CSV, LRP_SPACE_JSON } lrp_space_format;

typedef struct {
  const lrp_options *options; /* borrowed */
  lrp_space_format format;
  lrp_method method;
  lrp_config config;
  bool is_counted;                        /* whether sizes are there: not of too many layers */
  lrp_space_size sizes[LRP_SPACE_N_AXES]; /* of the whole space */
  const int *rank; /* borrowed: ranks of the one configuration (as in lrp_configuration), or NULL */
  int n_units;     /* matrices in it */
  lrp_space_filter filter; /* of many configurations; its rows live as long as the view */
  lrp_sampler *sampler;    /* borrowed: they themselves, or NULL */
} lrp_space_view;

/** Print the model, its space and the one configuration, if there is one, to stdout. Local.
 *  @return LRP_OK, LRP_ERR_MEM */
lrp_status lrp_space_show(const lrp_space_view *view);

/** Print how many configurations pass the filter (in CSV only where none are listed), and those
 * that the options ask for, as they are found. Local. @return LRP_OK, also where the reader of
 * stdout has gone away; LRP_ERR_MEM; LRP_ERR_IO if stdout cannot take more */
lrp_status lrp_space_list(const lrp_space_view *view);

/** FLOPs per token and byte of the weights, which a token at batch 1 reads once. Local. */
double lrp_space_intensity(const lrp_size *size);

/** Print a field of a CSV file to stdout, quoted where it must be (RFC 4180). Local. */
void lrp_space_csv_text(const char *text);

#endif
