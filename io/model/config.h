/** @file io/model/config.h
 *  config.json of a Hugging Face model directory, and what follows from it alone: names and shapes
 *  of the tensors that can be decomposed, and the parameters of the model. */
#ifndef LRP_IO_MODEL_CONFIG_H
#define LRP_IO_MODEL_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernels/nn/bert.h"
#include "kernels/nn/llama.h"
#include "kernels/status.h"

/** Most decomposable tensors of a layer over all families. */
enum { LRP_MAX_LAYER_TENSORS = 7 };

/** What the forward pass and the names of the weights are like. */
typedef enum { LRP_FAMILY_LLAMA, LRP_FAMILY_BERT } lrp_family;

/** Most labels whose names are kept, and the room of a name. */
enum { LRP_MAX_LABELS = 16, LRP_LABEL_SIZE = 48 };

typedef struct {
  char architecture[64]; /* architectures[0] */
  lrp_family family;
  lrp_llama_config llama; /* of LRP_FAMILY_LLAMA; else zero */
  lrp_bert_config bert;   /* of LRP_FAMILY_BERT; else zero */
  bool bare_names;        /* BERT: its weights' names lack "bert." in front. From config.json alone:
                             those of BertModel do; lrp_model_open() sets it by what the files hold */
  char labels[LRP_MAX_LABELS][LRP_LABEL_SIZE]; /* id2label of a classifier; "" if it is not said */
  bool tie_word_embeddings;
  bool attention_bias, mlp_bias;
  bool qkv_bias;                      /* q, k and v have biases, o has not */
  int64_t bos_token_id, eos_token_id; /* -1 if absent; the first of a list */
} lrp_config;

/** Read and check DIR/config.json. Local. Keys that Hugging Face defaults may be absent or null.
 *  Known are LlamaForCausalLM, and what shares its weights' names and forward pass:
 *  MistralForCausalLM (with or without a sliding window) and Qwen2ForCausalLM (without one);
 *  and BertModel, BertForSequenceClassification, BertForQuestionAnswering and BertForMaskedLM.
 *  @return LRP_OK; LRP_ERR_ABSENT if dir or the file is not there; LRP_ERR_DATA for broken JSON, a
 *          missing key, a wrong type or an impossible value (hidden_size = 0, heads that do not
 *          divide, more than 65536 layers), an architecture or an option (rope_scaling other than
 *          linear and llama3, hidden_act) that lrpipe does not know: the message names file, key
 *          and value; LRP_ERR_PERM,
 *          LRP_ERR_MEM, LRP_ERR_IO */
lrp_status lrp_config_read(const char *dir, lrp_config *out);

/** Decomposable tensors of one layer: number, short name ("q_proj", "attention.output") and shape.
 *  The full name ("model.layers.3.self_attn.q_proj.weight") is written to name (size bytes).
 *  Local. */
int lrp_config_layer_tensors(const lrp_config *config);
const char *lrp_config_tensor_name(const lrp_config *config, int tensor);
void lrp_config_tensor_shape(const lrp_config *config, int tensor, int64_t *m, int64_t *n);
void lrp_config_tensor_path(const lrp_config *config, int layer, int tensor, char *name,
                            size_t size);

/** Whether a linear map has a bias, called as the weight but ".bias" (length m). Local. */
bool lrp_config_has_bias(const lrp_config *config, int tensor);

/** Layers of the model. Local. */
int lrp_config_layers(const lrp_config *config);

/** vocab_size and max_position_embeddings of either family. Local. */
int64_t lrp_config_vocab_size(const lrp_config *config);
int64_t lrp_config_positions(const lrp_config *config);

/** Parameters of the class that architectures[0] names: tied heads once, biases included, buffers
 *  excluded. Local. */
int64_t lrp_config_parameters(const lrp_config *config);

/** Weights of the linear maps of all layers and of the head; flops_per_token = 2 x this. Local.
 *  The head of Llama is vocab_size x hidden_size, tied or not; that of BERT what its class puts on
 *  top of the encoder (pooler, classifier, qa_outputs, transform and decoder). No biases, norms or
 *  embeddings. */
int64_t lrp_config_linear_parameters(const lrp_config *config);

#endif
