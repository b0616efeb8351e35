/** @file kernels/clones.h
 *  Functions that use what the processor has. */
#ifndef LRP_KERNELS_CLONES_H
#define LRP_KERNELS_CLONES_H

/** Compile a function for several instruction sets, chosen when the program is loaded: binaries are
 *  built on login nodes and run elsewhere. Bits may differ between machines, not within one. Not
 *  under the sanitizers, whose run time is not up yet when the choice is made. */
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && __GNUC__ >= 12 && \
    !defined(__SANITIZE_ADDRESS__)
#define LRP_VECTOR_CLONES \
  __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define LRP_VECTOR_CLONES
#endif

#endif
