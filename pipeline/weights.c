#include "pipeline/weights.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kernels/log.h"
#include "pipeline/factor_cache.h"
#include "pipeline/memory.h"
#include "pipeline/shared.h"
#include "pipeline/weights_plan.h"

/* Of the available memory: the rest is for activations. */
static const double weights_share = 0.75;

/* What a process rank may use besides, at least. */
static const int64_t spare_min = (int64_t)64 << 20;

/* A matrix to be packed. */
typedef struct {
  const lrp_matrix *w;
  lrp_packed *packed; /* out */
  size_t offset, bytes;
} item;

struct lrp_weights {
  const lrp_study *study;   /* borrowed */
  const lrp_topology *topo; /* borrowed */
  lrp_llama dense;          /* its layers are owned */
  lrp_weights_plan plan;
  lrp_shared shared;         /* owned */
  int held_from, held_to;    /* layers of this node */
  int from, to;              /* of this process rank */
  lrp_column *column;        /* owned */
  lrp_factor_cache *factors; /* owned */
  int64_t spare;
};

/* ---- bytes ----------------------------------------------------------------------------------- */

static int64_t matrix_bytes(const lrp_matrix *a) {
  return a->rows * a->cols * (int64_t)lrp_dtype_size(a->dtype);
}

/* Of a matrix that is packed where that pays. */
static int64_t packed_bytes(const lrp_matrix *a, lrp_dtype operands) {
  const size_t bytes = lrp_packed_bytes(a->rows, a->cols, operands);
  return bytes > 0 ? (int64_t)bytes : matrix_bytes(a);
}

/* Bytes of each layer, the first with the embedding, the last with the head. */
static void list_bytes(const lrp_llama *model, lrp_dtype operands, int64_t *packed,
                       int64_t *mapped) {
  const int layers = model->config.num_hidden_layers;
  for (int l = 0; l < layers; l++) {
    packed[l] = mapped[l] = 0;
    for (int t = 0; t < LRP_LLAMA_LINEARS; t++) {
      packed[l] += packed_bytes(&model->layers[l].linear[t].w, operands);
      mapped[l] += matrix_bytes(&model->layers[l].linear[t].w);
    }
  }
  packed[0] += matrix_bytes(&model->embed_tokens);
  mapped[0] += matrix_bytes(&model->embed_tokens);
  packed[layers - 1] += packed_bytes(&model->lm_head, operands);
  mapped[layers - 1] += matrix_bytes(&model->lm_head);
}

/* Bytes that the poorest node has for a run; a great number if that is not known. */
static int64_t available_memory(const lrp_topology *topo) {
  double memory = lrp_memory_available();
  if (memory < 0.0 || memory > 0x1p62) memory = 0x1p62;
  MPI_Allreduce(MPI_IN_PLACE, &memory, 1, MPI_DOUBLE, MPI_MIN, topo->comm);
  return (int64_t)memory;
}

static int most_ranks(const lrp_topology *topo) {
  int most = 1;
  for (int i = 0; i < topo->n_nodes; i++) {
    if (topo->node_ranks[i] > most) most = topo->node_ranks[i];
  }
  return most;
}

/* ---- packing --------------------------------------------------------------------------------- */

/* The matrices of this node's layers that are worth packing, and the memory for all of them. */
static size_t list_items(lrp_weights *w, item *items, int *n) {
  lrp_llama *model = &w->dense;
  const lrp_dtype operands = w->study->eval_dtype;
  size_t offset = 0;
  *n = 0;
  for (int l = w->held_from; l < w->held_to; l++) {
    for (int t = 0; t < LRP_LLAMA_LINEARS; t++) {
      lrp_linear *linear = &model->layers[l].linear[t];
      items[(*n)++] = (item){.w = &linear->w, .packed = &linear->packed};
    }
  }
  if (w->held_to == model->config.num_hidden_layers) {
    items[(*n)++] = (item){.w = &model->lm_head, .packed = &model->packed_head};
  }
  for (int i = 0; i < *n; i++) {
    items[i].offset = offset;
    items[i].bytes = lrp_packed_bytes(items[i].w->rows, items[i].w->cols, operands);
    offset += items[i].bytes;
  }
  return offset;
}

/* Items [*first, *end) of this process rank: those whose middle lies in its share of the bytes. */
static void deal_items(const lrp_weights *w, const item *items, int n, int *first, int *end) {
  int me, size;
  MPI_Comm_rank(w->topo->node, &me);
  MPI_Comm_size(w->topo->node, &size);
  const double share = (double)w->shared.bytes / size;
  *first = *end = 0;
  for (int i = 0; i < n; i++) {
    const double middle = (double)items[i].offset + 0.5 * (double)items[i].bytes;
    if (middle < me * share) *first = i + 1;
    if (middle < (me + 1) * share || me + 1 == size) *end = i + 1;
  }
}

/* The file's pages are not needed any more: let them be the first to go where memory is short. */
static void leave_file(const lrp_matrix *a) {
  const size_t page = (size_t)sysconf(_SC_PAGESIZE);
  const uintptr_t begin = ((uintptr_t)a->data + page - 1) / page * page;
  const uintptr_t end = ((uintptr_t)a->data + (size_t)matrix_bytes(a)) / page * page;
  if (end > begin) (void)madvise((void *)begin, end - begin, MADV_COLD);
}

/* Take the memory of this process rank's part, everywhere or nowhere, then fill it. */
static lrp_status pack_items(lrp_weights *w, const item *items, int n) {
  char *memory = w->shared.data;
  lrp_status st = LRP_OK;
  int first, end;
  deal_items(w, items, n, &first, &end);
  if (first < end) {
    const size_t offset = items[first].offset;
    st = lrp_shared_reserve(&w->shared, offset,
                            items[end - 1].offset + items[end - 1].bytes - offset);
  }
  st = lrp_agree(st, w->topo->comm);
  for (int i = first; st == LRP_OK && i < end; i++) {
    if (items[i].bytes == 0) continue;
    st = lrp_pack(items[i].w, w->study->eval_dtype, memory + items[i].offset, items[i].packed);
    leave_file(items[i].w);
  }
  return lrp_agree(st, w->topo->comm); /* and nobody reads what is not packed yet */
}

/* What others have packed, too; if it went wrong somewhere, nothing. */
static void show_items(const lrp_weights *w, const item *items, int n, bool packed) {
  const char *memory = w->shared.data;
  for (int i = 0; i < n; i++) {
    *items[i].packed = (lrp_packed){0};
    if (!packed || items[i].bytes == 0) continue;
    *items[i].packed = (lrp_packed){.data = memory + items[i].offset,
                                    .operands = w->study->eval_dtype,
                                    .n = items[i].w->rows,
                                    .k = items[i].w->cols};
  }
}

/* Pack the layers of this node. Collective over topo->comm. */
static lrp_status pack(lrp_weights *w) {
  const int most = (w->held_to - w->held_from) * LRP_LLAMA_LINEARS + 1;
  item *items = malloc((size_t)most * sizeof *items);
  int n = 0;
  size_t bytes = 0;
  lrp_status st = items ? LRP_OK : lrp_fail_memory((size_t)most * sizeof *items, "weights");
  st = lrp_agree(st, w->topo->comm);
  if (st == LRP_OK) {
    bytes = list_items(w, items, &n);
    if (bytes > 0) st = lrp_shared_create(w->topo->node, bytes, &w->shared);
    st = lrp_agree(st, w->topo->comm);
  }
  if (st == LRP_OK) st = pack_items(w, items, n);
  show_items(w, items, n, st == LRP_OK);
  if (st != LRP_OK) lrp_shared_free(&w->shared);
  free(items);
  return st;
}

/* ---- nodes that hold the model together ------------------------------------------------------ */

/* Form columns of one process rank of each node of a group. Collective over topo->comm. */
static lrp_status form_columns(lrp_weights *w, int first, int end) {
  const lrp_topology *topo = w->topo;
  MPI_Comm comm;
  int mine, columns = topo->node_ranks[first], color = 0;
  lrp_status st = LRP_OK;

  MPI_Comm_rank(topo->node, &mine);
  for (int i = first; i < end; i++) {
    if (topo->node_ranks[i] < columns) columns = topo->node_ranks[i];
  }
  for (int i = 0; i < first; i++) color += topo->node_ranks[i]; /* different for each column */
  color += mine;
  const bool idle = topo->node_index >= end || mine >= columns;
  MPI_Comm_split(topo->comm, idle ? MPI_UNDEFINED : color, topo->node_index, &comm);
  if (comm == MPI_COMM_NULL) {
    w->from = w->to = 0;
  } else {
    st = lrp_column_create(comm, &w->column);
    MPI_Comm_free(&comm);
  }
  return lrp_agree(st, topo->comm);
}

/* The layers of this node, and of this process rank. Collective over topo->comm. */
static lrp_status take_place(lrp_weights *w, const int64_t *cost) {
  const int layers = w->dense.config.num_hidden_layers, node = w->topo->node_index;
  int first, end;
  w->held_from = w->from = 0;
  w->held_to = w->to = layers;
  if (w->plan.together == 1) return LRP_OK;

  lrp_weights_group(node, w->topo->n_nodes, w->plan.together, layers, &first, &end);
  const bool idle = node >= end;
  int *from = malloc(((size_t)(end - first) + 1) * sizeof *from);
  lrp_status st = from ? LRP_OK : lrp_fail_memory((size_t)(end - first) * sizeof *from, "weights");
  st = lrp_agree(st, w->topo->comm);
  if (st == LRP_OK) {
    lrp_spread_ranges(cost, layers, end - first, from);
    w->held_from = w->from = idle ? 0 : from[node - first];
    w->held_to = w->to = idle ? 0 : from[node - first + 1];
    st = form_columns(w, first, end);
  }
  free(from);
  return st;
}

/* ---- opening --------------------------------------------------------------------------------- */

/* How the model is held, and where. Collective over topo->comm. */
static lrp_status settle(lrp_weights *w, int64_t budget) {
  const lrp_topology *topo = w->topo;
  const int layers = w->dense.config.num_hidden_layers;
  const size_t bytes = 2 * (size_t)layers * sizeof(int64_t);
  int64_t *packed = malloc(bytes), *mapped = packed ? packed + layers : NULL;
  lrp_status st = lrp_agree(packed ? LRP_OK : lrp_fail_memory(bytes, "weights"), topo->comm);
  if (st == LRP_OK) {
    list_bytes(&w->dense, w->study->eval_dtype, packed, mapped);
    /* Processors that pack differently must come to the same decision. */
    MPI_Allreduce(MPI_IN_PLACE, packed, 2 * layers, MPI_INT64_T, MPI_MAX, topo->comm);
    w->plan = lrp_weights_choose(packed, mapped, layers, topo->n_nodes, budget);
    st = take_place(w, w->plan.packed ? packed : mapped);
  }
  free(packed);
  return st;
}

/* Pack, or go on without: the same bits, a little slower. */
static lrp_status pack_or_not(lrp_weights *w) {
  if (!w->plan.packed) return LRP_OK;
  const lrp_status st = pack(w);
  if (st == LRP_OK || st == LRP_ERR_BUG) return st;
  const char *why = lrp_failure_message(st);
  if (why) lrp_log_local("%s", why);
  lrp_failure_clear();
  lrp_warn("weights: they cannot be packed on every node; they are used as they lie in the files");
  w->plan.packed = false;
  return LRP_OK;
}

static void say(const lrp_weights *w, double seconds) {
  const double gb = 1e-9 * (double)w->plan.bytes;
  const char *how = w->plan.packed ? "packed for" : "as they lie in the files, for";
  const char *type = lrp_dtype_name(w->study->eval_dtype);
  if (w->plan.together > 1) {
    lrp_log("weights: %d nodes together hold the layers, at most %.3g GB each, %s products in %s",
            w->plan.together, gb, how, type);
  } else {
    lrp_log("weights: %.3g GB on each node, %s products in %s (%.1f s)", gb, how, type, seconds);
  }
  if (w->plan.fits) return;
  lrp_warn(
      "weights: %.3g GB are more than the memory of a node is good for; they will be read again "
      "and again (more nodes would hold them together; evaluate.memory)",
      gb);
}

lrp_status lrp_weights_open(const lrp_study *study, const lrp_topology *topo, lrp_weights **out) {
  const double start = MPI_Wtime();
  const int64_t available = available_memory(topo), asked = study->job.evaluate.memory;
  const int64_t share = (int64_t)(weights_share * (double)available);
  const int64_t budget = asked <= 0 ? share : asked < available ? asked : available;
  lrp_weights *w = calloc(1, sizeof *w);

  *out = NULL;
  lrp_status st = w ? LRP_OK : lrp_fail_memory(sizeof *w, "weights");
  if (w) {
    *w = (lrp_weights){.study = study, .topo = topo};
    st = lrp_model_llama(&study->model, &w->dense);
  }
  st = lrp_agree(st, topo->comm);
  if (st == LRP_OK) st = settle(w, budget);
  if (st == LRP_OK) st = pack_or_not(w);
  if (st == LRP_OK) {
    const int64_t held = w->plan.bytes, ranks = most_ranks(topo);
    const int64_t rest = (available - (held > budget ? held : budget)) / ranks;
    w->spare = rest > spare_min ? rest : spare_min;
    st = lrp_factor_cache_create(study->plan.n_units, study->eval_dtype,
                                 held < budget ? (budget - held) / ranks : 0, &w->factors);
    st = lrp_agree(st, topo->comm);
  }
  if (st == LRP_OK) say(w, MPI_Wtime() - start);
  if (st != LRP_OK) lrp_weights_close(&w);
  *out = w;
  return st;
}

void lrp_weights_close(lrp_weights **weights) {
  lrp_weights *w = *weights;
  if (!w) return;
  lrp_factor_cache_destroy(&w->factors);
  lrp_column_destroy(&w->column);
  lrp_shared_free(&w->shared);
  lrp_model_llama_free(&w->dense);
  free(w);
  *weights = NULL;
}

/* ---- use ------------------------------------------------------------------------------------- */

void lrp_weights_range(const lrp_weights *w, int *from, int *to) {
  *from = w->from;
  *to = w->to;
}

const lrp_llama *lrp_weights_dense(const lrp_weights *w) {
  return &w->dense;
}

lrp_column *lrp_weights_column(lrp_weights *w) {
  return w->column;
}

bool lrp_weights_takes(const lrp_weights *w) {
  if (w->plan.together == 1) return true;
  return w->column && lrp_spread_previous(w->column) < 0;
}

void lrp_weights_capacity(const lrp_weights *w, int *capacity) {
  const lrp_topology *topo = w->topo;
  for (int i = 0; i < topo->n_nodes; i++) {
    int first, end;
    lrp_weights_group(i, topo->n_nodes, w->plan.together, w->dense.config.num_hidden_layers, &first,
                      &end);
    capacity[i] = i == first ? topo->node_ranks[i] : 0;
    for (int j = first; i == first && j < end; j++) {
      if (topo->node_ranks[j] < capacity[i]) capacity[i] = topo->node_ranks[j];
    }
  }
}

int64_t lrp_weights_spare(const lrp_weights *w) {
  return w->spare;
}

lrp_status lrp_weights_layer(lrp_weights *w, lrp_store *store, int c, int layer,
                             lrp_held_layer *out) {
  const lrp_plan *plan = &w->study->plan;
  const int *rank = plan->configurations[c].rank + layer * plan->tensors;
  lrp_status st = LRP_OK;
  *out = (lrp_held_layer){.layer = w->dense.layers[layer]};
  for (int t = 0; st == LRP_OK && t < LRP_LLAMA_LINEARS; t++) {
    if (rank[t] == 0) continue;
    st = lrp_factor_cache_take(w->factors, store, lrp_plan_unit(plan, layer, t), rank[t],
                               &out->layer.linear[t], &out->held[t]);
  }
  if (st != LRP_OK) lrp_layer_release(w, out);
  return st;
}

void lrp_layer_release(lrp_weights *w, lrp_held_layer *layer) {
  for (int t = 0; t < LRP_LLAMA_LINEARS; t++) lrp_factor_cache_release(w->factors, layer->held[t]);
  *layer = (lrp_held_layer){0};
}
