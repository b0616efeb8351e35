/** @file pipeline/manual.h
 *  What the program prints about itself, from the tables that it works by: a page that says
 *  something else than the program does cannot be made. */
#ifndef LRP_PIPELINE_MANUAL_H
#define LRP_PIPELINE_MANUAL_H

/** The keys of a job file as a Markdown table, to stdout. Local. */
void lrp_manual_keys(void);

/** lrpipe(1) in man(7) macros, to stdout. Local. */
void lrp_manual_page(void);

/** Completion for bash, to stdout. Local. */
void lrp_manual_completion(void);

#endif
