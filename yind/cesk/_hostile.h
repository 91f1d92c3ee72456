/* What the hostile build adds to the machine; in any other build all of it is nothing.
 *
 * Is:     freed memory that is poisoned and kept a while, fresh memory that is filled, a stop after so many
 *         instructions, counts of what was run. `YIN_HOSTILE=1` at build time turns it on.
 * Is not: the audit of references (`_hostile.pxi`), or anything a program could notice.
 * Fits:   `_heap.pxi` and `_loop.pxi` call these inside `if HOSTILE`, which a C compiler drops where it is 0.
 */
#ifndef YIN_HOSTILE_H
#define YIN_HOSTILE_H
#include <stddef.h>
#include <stdint.h>

#define HOSTILE_OPCODES 512

/* Steps of work of one instruction, see spend(): a tenth of a millisecond. In the hostile build nearly everything is done
   in portions. */
#ifdef YIN_HOSTILE
#define PORTION_STEPS ((uint64_t) 1 << 7)
#define SPREAD_MAX 4 /* arguments that one instruction spreads */
#else
#define PORTION_STEPS ((uint64_t) 1 << 15)
#define SPREAD_MAX 1024
#endif
#define HOSTILE_PRIMITIVES 1024

#ifdef YIN_HOSTILE
#define HOSTILE 1
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FRESH_BYTE 0xAA /* values of memory nobody filled: no tag is like it */
#define DEAD_BYTE 0xDD
#ifdef __SANITIZE_ADDRESS__
#define GRAVE_BYTES_MAX 0 /* the sanitizer keeps them itself */
#else
#define GRAVE_BYTES_MAX ((size_t) 1 << 18)
#endif

typedef struct Grave { struct Grave *next; size_t size; } Grave; /* at the start of a dead block */

typedef struct {
    Grave *first; /* owned; the oldest */
    Grave *last;
    size_t bytes;
    uint64_t steps_left; /* instructions until a stop, plus one; 0: none */
} Hostile;

static uint64_t hostile_opcode_counts[HOSTILE_OPCODES];
static uint64_t hostile_primitive_counts[HOSTILE_PRIMITIVES];

static inline void hostile_expect(int true_, const char *what) {
    if (!true_) {
        fprintf(stderr, "hostile build: %s\n", what);
        abort();
    }
}

static inline void hostile_fresh(void *memory, size_t size) { memset(memory, FRESH_BYTE, size); }

static inline void hostile_exhume(Hostile *hostile, size_t bytes_max) {
    while (hostile->first != NULL && hostile->bytes > bytes_max) {
        Grave *grave = hostile->first;
        const uint8_t *bytes = (const uint8_t *) (grave + 1);
        for (size_t i = 0; i < grave->size - sizeof(Grave); i++)
            hostile_expect(bytes[i] == DEAD_BYTE, "freed memory was written to");
        hostile->first = grave->next;
        hostile->bytes -= grave->size;
        free(grave);
    }
    if (hostile->first == NULL)
        hostile->last = NULL;
}

static inline void hostile_bury(Hostile *hostile, void *memory, size_t size) {
    Grave *grave = (Grave *) memory;
    memset(memory, DEAD_BYTE, size);
    grave->next = NULL;
    grave->size = size;
    if (hostile->last != NULL)
        hostile->last->next = grave;
    else
        hostile->first = grave;
    hostile->last = grave;
    hostile->bytes += size;
    hostile_exhume(hostile, GRAVE_BYTES_MAX);
}

static inline void hostile_steps(Hostile *hostile, uint64_t steps) { hostile->steps_left = steps ? steps + 1 : 0; }

/* Count an instruction that is about to run, or tell that the slice ends before it. */
static inline int hostile_stops(Hostile *hostile, uint16_t opcode) {
    if (hostile->steps_left != 0 && --hostile->steps_left == 0)
        return 1;
    __atomic_fetch_add(&hostile_opcode_counts[opcode % HOSTILE_OPCODES], 1, __ATOMIC_RELAXED);
    return 0;
}

static inline void hostile_primitive(uint32_t number) {
    __atomic_fetch_add(&hostile_primitive_counts[number % HOSTILE_PRIMITIVES], 1, __ATOMIC_RELAXED);
}

static inline uint64_t hostile_opcode_count(uint32_t number) { return hostile_opcode_counts[number]; }
static inline uint64_t hostile_primitive_count(uint32_t number) { return hostile_primitive_counts[number]; }

#else
#define HOSTILE 0
typedef struct { } Hostile; /* no bytes: GNU C */
#define hostile_expect(true_, what) ((void) (true_), (void) (what))
#define hostile_fresh(memory, size) ((void) (memory), (void) (size))
#define hostile_exhume(hostile, bytes_max) ((void) (hostile))
#define hostile_bury(hostile, memory, size) ((void) (memory), (void) (size))
#define hostile_steps(hostile, steps) ((void) (hostile), (void) (steps))
#define hostile_stops(hostile, opcode) ((void) (hostile), (void) (opcode), 0)
#define hostile_primitive(number) ((void) (number))
#define hostile_opcode_count(number) ((void) (number), 0)
#define hostile_primitive_count(number) ((void) (number), 0)
#endif
#endif
