/** @file pipeline/show_tasks.h
 *  What a run would ask of the model, on stdout: --write_out and --show_config. */
#ifndef LRP_PIPELINE_SHOW_TASKS_H
#define LRP_PIPELINE_SHOW_TASKS_H

#include "pipeline/tasks.h"

/** Print, of each of n tasks, the first document: its context, its target, and the tokens of its
 *  requests. Local. */
void lrp_show_prompts(const lrp_task *tasks, int n);

/** Print the settings of n tasks, {task: settings}, as configs of results.json shows them. Local.
 *  @return LRP_OK, LRP_ERR_MEM */
lrp_status lrp_show_settings(const lrp_task *tasks, int n);

#endif
