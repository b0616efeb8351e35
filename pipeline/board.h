/** @file pipeline/board.h
 *  What the process ranks of a node have done, in memory that they share: numbers, and lines for
 *  the one of them that writes the log. No messages: whoever computes never waits. */
#ifndef LRP_PIPELINE_BOARD_H
#define LRP_PIPELINE_BOARD_H

#include <stdbool.h>
#include <stdint.h>

#include "kernels/status.h"

typedef struct lrp_board lrp_board;

/** Done since the last reset. */
typedef struct {
  int64_t items;
  double cost, seconds;
} lrp_tally;

/** What a process rank says. */
typedef struct {
  bool done;       /* text is a line of what was done, else what is being worked on */
  int64_t item;    /* of the stage; -1: none */
  lrp_tally tally; /* of its process rank, when it said so */
  char text[360];
} lrp_remark;

/** Collective over node. @param read  whether the first process rank of node takes the remarks:
 *  else they are not kept
 *  @return LRP_OK, LRP_ERR_MEM; the same on every process rank of node */
lrp_status lrp_board_create(MPI_Comm node, bool read, lrp_board **out);

/** Collective over node; sets *board to NULL; accepts NULL. */
void lrp_board_destroy(lrp_board **board);

/** Tallies become 0. Collective over node; remarks have been taken by then, or are lost. */
void lrp_board_reset(lrp_board *board);

/** This process rank has done more. Local. */
void lrp_board_add(lrp_board *board, lrp_tally more);

/** Say text; the tally is filled in. Local. Where remarks are not taken fast enough it is lost:
 *  its number counts all the same. */
void lrp_board_say(lrp_board *board, lrp_remark *remark);

/** The next remark of process rank i of the node; false: none. By its first process rank alone, one
 *  thread at a time. */
bool lrp_board_take(lrp_board *board, int i, lrp_remark *remark);

/** Process ranks of the node; what the i-th of them has done; and all of them. Local. */
int lrp_board_size(const lrp_board *board);
lrp_tally lrp_board_tally(const lrp_board *board, int i);
lrp_tally lrp_board_sum(const lrp_board *board);

#endif
