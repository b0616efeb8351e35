#include "pipeline/topology.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/threads.h"

/* Number the nodes by their lowest process rank: the leaders' process ranks, in order. */
static void number_nodes(lrp_topology *topo, int *leader_of) {
  int leader = topo->me;
  MPI_Bcast(&leader, 1, MPI_INT, 0, topo->node);
  MPI_Allgather(&leader, 1, MPI_INT, leader_of, 1, MPI_INT, topo->comm);
  topo->n_nodes = 0;
  for (int p = 0; p < topo->size; p++) {
    if (leader_of[p] != p) continue; /* a leader is the lowest of its node: it comes first */
    if (p == leader) topo->node_index = topo->n_nodes;
    for (int q = p; q < topo->size; q++) {
      if (leader_of[q] == p) topo->node_ranks[topo->n_nodes]++;
    }
    topo->n_nodes++;
  }
}

lrp_status lrp_topology_init(lrp_topology *topo, MPI_Comm comm) {
  *topo = (lrp_topology){.comm = comm, .node = MPI_COMM_NULL};
  MPI_Comm_rank(comm, &topo->me);
  MPI_Comm_size(comm, &topo->size);
  MPI_Comm_split_type(comm, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &topo->node);

  const size_t bytes = (size_t)topo->size * sizeof(int);
  int *leader_of = malloc(bytes);
  topo->node_ranks = calloc((size_t)topo->size, sizeof(int));
  lrp_status st = leader_of && topo->node_ranks ? LRP_OK : lrp_fail_memory(bytes, "the topology");
  st = lrp_agree(st, comm);
  if (st == LRP_OK) {
    number_nodes(topo, leader_of);
    st = lrp_threads_init(comm, &topo->threads);
  }
  if (st != LRP_OK) lrp_topology_free(topo);
  free(leader_of);
  return st;
}

void lrp_topology_free(lrp_topology *topo) {
  if (topo->node != MPI_COMM_NULL) MPI_Comm_free(&topo->node);
  free(topo->node_ranks);
  topo->node_ranks = NULL;
}

struct lrp_deal {
  MPI_Win window;
  atomic_int_least64_t *next; /* in memory that the process ranks of the node share */
  int64_t *items;             /* owned: of this node, in the order to take them */
  int64_t n_items;
};

/* The items of this node. */
static lrp_status choose_items(lrp_deal *deal, const lrp_topology *topo, const int *node,
                               const bool *todo, const int *order, int64_t n) {
  deal->items = malloc(((size_t)n + 1) * sizeof *deal->items);
  if (!deal->items) return lrp_fail_memory((size_t)n * sizeof *deal->items, "a schedule");
  for (int64_t j = 0; j < n; j++) {
    const int64_t i = order ? order[j] : j;
    if (todo[i] && node[i] == topo->node_index) deal->items[deal->n_items++] = i;
  }
  return LRP_OK;
}

lrp_status lrp_deal_create(const lrp_topology *topo, const int *node, const bool *todo,
                           const int *order, int64_t n, lrp_deal **out) {
  lrp_deal *deal = calloc(1, sizeof *deal);
  *out = NULL;
  lrp_status st = deal ? choose_items(deal, topo, node, todo, order, n)
                       : lrp_fail_memory(sizeof *deal, "a schedule");
  st = lrp_agree(st, topo->comm);
  if (st != LRP_OK) {
    if (deal) free(deal->items);
    free(deal);
    return st;
  }

  int me, unit;
  MPI_Aint bytes;
  MPI_Comm_rank(topo->node, &me);
  MPI_Win_allocate_shared(me == 0 ? sizeof *deal->next : 0, 1, MPI_INFO_NULL, topo->node,
                          &deal->next, &deal->window);
  MPI_Win_shared_query(deal->window, 0, &bytes, &unit, &deal->next);
  if (me == 0) atomic_init(deal->next, 0);
  MPI_Barrier(topo->node);
  *out = deal;
  return LRP_OK;
}

int64_t lrp_deal_next(lrp_deal *deal) {
  const int64_t i = atomic_fetch_add(deal->next, 1);
  return i < deal->n_items ? deal->items[i] : -1;
}

void lrp_deal_stop(lrp_deal *deal) {
  atomic_store(deal->next, deal->n_items);
}

void lrp_deal_destroy(lrp_deal **out) {
  lrp_deal *deal = *out;
  if (!deal) return;
  MPI_Win_free(&deal->window);
  free(deal->items);
  free(deal);
  *out = NULL;
}
