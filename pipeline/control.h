/** @file pipeline/control.h
 *  What every stage tells and asks while it works. */
#ifndef LRP_PIPELINE_CONTROL_H
#define LRP_PIPELINE_CONTROL_H

#include "pipeline/progress.h"
#include "pipeline/stop.h"
#include "pipeline/watch.h"

typedef struct {
  lrp_progress *progress; /* how far the run is */
  lrp_stop *stop;         /* whether the next piece of work may begin */
  lrp_watch *watch;       /* that this process rank lives, and at what it works */
} lrp_control;

#endif
