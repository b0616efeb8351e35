/** @file pipeline/spread.h
 *  A model whose layers lie on several nodes: activations go along a column of process ranks.
 *
 *  A column is one process rank of each node of a group, in the order of their layers. The first
 *  takes items (blocks of requests), each process rank computes its layers of an item and sends
 *  what came out to the next one, the last records the results. Several items are on their way at a
 *  time. A process rank that fails goes on receiving, and what it sends says only that it failed:
 *  so nobody waits for ever. The last one tells the first how each item ended.
 *
 *  The first:                                  The others:
 *
 *    while ((b = next item) >= 0 &&              while (lrp_spread_take(column, &b)) {
 *           lrp_spread_begin(column, b)) {         while (lrp_spread_receive(column, .., x)) {
 *      st = compute x, once or more;                 if (lrp_spread_status(column) == LRP_OK)
 *        lrp_spread_send(column, st, .., x)            st = compute x, once or more;
 *      lrp_spread_end(column, st);                       lrp_spread_send(column, st, .., x)
 *    }                                             }
 *    st = lrp_spread_finish(column, st);           lrp_spread_end(column, st);
 *                                                }
 *                                                st = lrp_spread_finish(column, st); */
#ifndef LRP_PIPELINE_SPREAD_H
#define LRP_PIPELINE_SPREAD_H

#include <stdbool.h>
#include <stdint.h>

#include "kernels/status.h"

/** Cut n costs, in their order, into parts ranges so that the largest sum is as small as possible:
 *  range i is [first[i], first[i + 1]), parts + 1 numbers; empty ones only if parts > n. Local. */
void lrp_spread_ranges(const int64_t *cost, int n, int parts, int *first);

/** The largest sum of these ranges. Local. */
int64_t lrp_spread_largest(const int64_t *cost, int n, int parts);

typedef struct lrp_column lrp_column;

/** Collective over comm, whose order is that of the layers; comm is duplicated.
 *  @return LRP_OK, LRP_ERR_MEM; the same on every process rank of comm */
lrp_status lrp_column_create(MPI_Comm comm, lrp_column **out);

/** Collective over the column. Sets *column to NULL; accepts NULL. */
void lrp_column_destroy(lrp_column **column);

/** The communicator of the column: for decisions that it takes together while no item is on its
 *  way. Local; borrowed. */
MPI_Comm lrp_spread_comm(const lrp_column *column);

/** Place in the column: the process rank of it that comes before or follows, or -1. Local. */
int lrp_spread_previous(const lrp_column *column);
int lrp_spread_next(const lrp_column *column);

/** LRP_OK, or what made this process rank, or one that sent to it, fail: then only receive. Local.
 */
lrp_status lrp_spread_status(const lrp_column *column);

/** Parts of items, as process ranks compute them, after which an item would end that the first of
 *  the column began now: those of the items on their way, and its own. Local to the column; by the
 *  first. @return >= 1 */
int lrp_spread_depth(lrp_column *column);

/** The first of the column begins item >= 0. It waits while too many are on their way. Local to the
 *  column. @return false if a process rank of the column has failed: nothing was begun */
bool lrp_spread_begin(lrp_column *column, int64_t item);

/** The others learn which item comes. @return false if there are no more */
bool lrp_spread_take(lrp_column *column, int64_t *item);

/** Send x (rows x cols) to the next process rank, for the configurations set[0 .. n - 1]; with
 *  mine != LRP_OK, or after a failure, only that there is none. The last one sends nothing. */
void lrp_spread_send(lrp_column *column, lrp_status mine, const int *set, int n, const float *x,
                     int64_t rows, int64_t cols);

/** Receive what the one before sends.
 *  @param[out] set  configurations, *n <= n_max of them
 *  @param[out] x    rows x cols; NULL: throw all of it away, whatever its size (there was no memory
 *                   for it, say), and set, too
 *  @return true: set and x are there if lrp_spread_status is LRP_OK; sizes that are not those that
 *          were sent make it LRP_ERR_BUG. false: there is no more of this item */
bool lrp_spread_receive(lrp_column *column, int *set, int n_max, int *n, float *x, int64_t rows,
                        int64_t cols);

/** This process rank has done its part of the item, with that status. */
void lrp_spread_end(lrp_column *column, lrp_status mine);

/** No more items. Collective over the column: the first waits for those on their way. The column
 *  can be used again. @return the worst status of the column, the same on all of it */
lrp_status lrp_spread_finish(lrp_column *column, lrp_status mine);

/** n tokens from the last process rank of the column to all of it (greedy decoding, where each
 *  token is the next input). Collective over the column while one item is on its way, with the
 *  worst status of it. */
lrp_status lrp_spread_tokens(lrp_column *column, lrp_status mine, int32_t *tokens, int64_t n);

#endif
