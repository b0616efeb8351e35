/** @file pipeline/bar.h
 *  The line that a terminal shows while a run works: a pure function of its width. */
#ifndef LRP_PIPELINE_BAR_H
#define LRP_PIPELINE_BAR_H

#include <stddef.h>
#include <stdint.h>

typedef struct {
  const char *stage;
  int64_t done, total;
  double seconds;   /* to go; < 0: not known */
  const char *what; /* is being worked on, any bytes; NULL or "": nothing to say */
} lrp_bar;

/** "evaluate [######..............] 12/40  30 %  0:01:10  block 3 of arc_easy" in less than width
 *  columns. Where that is too narrow what goes first, then the bar, the stage, the time and the
 *  count; below 6 columns it is "". Local.
 *  Text is shown by whole characters, counted in columns; what is not UTF-8 or not printable
 *  becomes '?'.
 *  @param size  of text in bytes; 5 * width is always enough. @return text */
const char *lrp_bar_text(const lrp_bar *bar, int width, char *text, size_t size);

#endif
