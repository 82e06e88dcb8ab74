/* The scopes of benchmarks/README.md in Promela.  -DNF=frames (3 or 4), -DNV=pages of P (1 or 2; driver and child use the
 * first alone), -DFILE=0|1: that one is of a file, -DFORK=0|1.
 * An entry: frame << 4 | PRESENT | WRITABLE | ACCESSED | DIRTY; frame 0 is the zero page.  A pin is BIAS references. */
#define PR 8
#define RW 1
#define AC 2
#define DI 4
#define BIAS 16
#define FR(e) ((e) >> 4)
#define MM(t) ((t) / 2)
#define PTE(t) pte[MM(t) * NV + v[t]]
#define OF_FILE(t) (FILE && v[t] == 0)
#define VANON(t) vanon[MM(t) * NV + v[t]]

/* stages of a task */
#define IDLE 0
#define TRY 1
#define START 2
#define COPY 3
#define INSTALL 4
#define BACK 5
#define FSTART 6
#define FLOAD 7
#define FGRAB 8
#define FCHECK 9
#define FBACK 10
#define SLOCK 11
#define SPAGE 12
#define SDONE 13
#define KCOPY 14
#define KSHARE 15
#define KALLOC 16

/* operations; what a fault is for; what it came to */
#define READ 1
#define WRITE 2
#define SLOW 3
#define FAST 4
#define FOR_READ 0
#define FOR_WRITE 1
#define UNSHARE 2
#define RESOLVED 0
#define WROTE 1
#define NOMEM 2

byte pte[2 * NV];
bit vanon[2 * NV];
#define CACHED 1 /* the frame that has the file's page, if there is one */
#if NF == 3
#define FOURTH
#define FOURTH_HELD 1
#define ALLOCATE_FOURTH(t)
#else
#define FOURTH , 0
#define FOURTH_HELD ref[4]
#define ALLOCATE_FOURTH(t) ALLOCATE(t, 4)
#endif
byte ref[NF + 1] = { 0, FILE, 0, 0 FOURTH };
bit anon[NF + 1];
bit excl[NF + 1];
byte readers;
bit writer, haspin, alive, seq, live, det;
byte pinned;
byte st[3], op[3], v[3], want[3], res[3], seen[3], from[3], fresh[3];
#ifdef BFS /* which knows no hidden variables; between steps these are 0 */
byte e, f, i;
#else
hidden byte e, f, i;
#endif

#define UNSHARED(fr) (anon[fr] && excl[fr])

inline put(fr, n) {
  ref[fr] = ref[fr] - (n);
  if :: ref[fr] == 0 -> anon[fr] = 0; excl[fr] = 0 :: else fi
}
inline idle(t) { st[t] = IDLE; op[t] = 0; v[t] = 0 }
inline put_source(t) { if :: from[t] > 1 -> put(from[t] - 1, 1) :: else fi; from[t] = 0 }
inline fault_end(t, r) { seen[t] = 0; fresh[t] = 0; want[t] = 0; res[t] = r; st[t] = BACK }

inline fault_start(t) {
  e = PTE(t);
  if
  :: e == 0 && !OF_FILE(t) ->
     if :: want[t] == FOR_WRITE -> VANON(t) = 1; st[t] = COPY
        :: else -> PTE(t) = PR | AC; fault_end(t, RESOLVED) fi
  :: e == 0 && OF_FILE(t) ->
     ref[CACHED]++;
     if :: want[t] == FOR_WRITE -> VANON(t) = 1; from[t] = CACHED + 1; st[t] = COPY
        :: else -> PTE(t) = CACHED << 4 | PR | AC; fault_end(t, RESOLVED) fi
  :: e != 0 && want[t] != FOR_READ && !(e & RW) ->
     f = FR(e);
     if :: anon[f] && (excl[f] || ref[f] == 1) ->
           excl[f] = 1;
           if :: want[t] == UNSHARE -> fault_end(t, RESOLVED)
              :: else -> PTE(t) = e | AC | DI | RW; fault_end(t, WROTE) fi
        :: else ->
           VANON(t) = 1; seen[t] = e; from[t] = f + 1; st[t] = COPY;
           if :: f != 0 -> ref[f]++ :: else fi
     fi
  :: else -> PTE(t) = e | AC | (want[t] == FOR_WRITE -> DI : 0); fault_end(t, RESOLVED)
  fi
}
inline fault_copy(t, nf) {
  if :: nf == 0 -> put_source(t); fault_end(t, NOMEM)
     :: else -> ref[nf] = 1; fresh[t] = nf; st[t] = INSTALL fi
}
inline fault_install(t) {
  if :: PTE(t) != seen[t] -> put(fresh[t], 1); put_source(t); fault_end(t, RESOLVED)
     :: else ->
        anon[fresh[t]] = 1; excl[fresh[t]] = 1;
        PTE(t) = fresh[t] << 4 | PR | AC | (want[t] == FOR_WRITE -> RW | DI : 0);
        f = FR(seen[t]);
        if :: f != 0 -> put(f, 1) :: else fi;
        put_source(t);
        if :: want[t] == FOR_WRITE && seen[t] != 0 -> fault_end(t, WROTE)
           :: else -> fault_end(t, RESOLVED) fi
  fi
}
inline access(t) {
  e = PTE(t);
  if :: e != 0 && (op[t] == READ || (e & RW)) ->
        PTE(t) = e | AC | (op[t] == WRITE -> DI : 0); idle(t)
     :: else -> if :: MM(t) == 0 -> readers++ :: else fi;
        want[t] = (op[t] == WRITE -> FOR_WRITE : FOR_READ); st[t] = START fi
}
inline zap(mm, p) {
  e = pte[(mm) * NV + p]; pte[(mm) * NV + p] = 0; f = FR(e);
  if :: f != 0 -> put(f, 1) :: else fi
}
inline child_gone() {
  i = 0;
  do :: i < NV -> zap(1, i); vanon[NV + i] = 0; i++ :: else -> break od;
  i = 0; alive = 0
}
inline fast_end() {
  if :: seq && pinned != 0 -> put(pinned, BIAS); pinned = 0; det = 0 :: else fi;
  seq = 0; seen[1] = 0; st[1] = FBACK
}
inline slow_page() {
  e = PTE(1);
  if :: e == 0 -> want[1] = FOR_READ; st[1] = START
     :: e != 0 && !(e & RW) && !UNSHARED(FR(e)) -> want[1] = UNSHARE; st[1] = START
     :: else -> f = FR(e); ref[f] = ref[f] + BIAS; pinned = f; readers--; st[1] = SDONE fi
}
inline pin_taken() { if :: pinned != 0 -> live = 1; st[1] = IDLE; op[1] = 0 :: else -> idle(1) fi }
inline driver() {
  if
  :: st[1] == FSTART -> if :: writer -> st[1] = FBACK :: else -> st[1] = FLOAD fi
  :: st[1] == FLOAD -> e = PTE(1);
     if :: pinned != 0 || FR(e) == 0 -> fast_end() :: else -> seen[1] = e; st[1] = FGRAB fi
  :: st[1] == FGRAB -> f = FR(seen[1]);
     if :: ref[f] == 0 -> fast_end() :: else -> ref[f] = ref[f] + BIAS; st[1] = FCHECK fi
  :: st[1] == FCHECK -> f = FR(seen[1]);
     if :: PTE(1) == seen[1] && ((seen[1] & RW) || UNSHARED(f)) -> pinned = f; seen[1] = 0; st[1] = FLOAD
        :: else -> put(f, BIAS); fast_end() fi
  :: st[1] == FBACK -> if :: pinned != 0 -> pin_taken() :: else -> st[1] = SLOCK fi
  :: st[1] == SLOCK -> readers++; st[1] = SPAGE
  :: st[1] == SPAGE -> slow_page()
  :: st[1] == SDONE -> pin_taken()
  fi
}
inline fork_next() {
  if :: fresh[0] != 0 -> put(fresh[0], 1); fresh[0] = 0 :: else fi;
  v[0]++; st[0] = KCOPY
}
inline fork_end() { writer = 0; idle(0) }
inline fork_copy() {
  do :: v[0] < NV && (!vanon[v[0]] || pte[v[0]] == 0) -> v[0]++ :: else -> break od;
  if
  :: v[0] >= NV -> fork_end()
  :: else ->
     e = pte[v[0]]; f = FR(e);
     if
     :: f == 0 -> pte[v[0]] = e & ~RW; pte[NV + v[0]] = e & ~(RW | AC); fork_next()
     :: f != 0 && haspin && excl[f] && ref[f] >= BIAS ->
        if :: fresh[0] == 0 -> st[0] = KALLOC
           :: else -> f = fresh[0]; fresh[0] = 0; anon[f] = 1; excl[f] = 1;
              pte[NV + v[0]] = f << 4 | PR | RW | DI; fork_next() fi
     :: else -> st[0] = KSHARE
     fi
  fi
}
inline fork_share() {
  e = pte[v[0]]; f = FR(e);
  excl[f] = 0; ref[f]++;
  pte[v[0]] = e & ~RW; pte[NV + v[0]] = e & ~(RW | AC); fork_next()
}
inline fork_alloc(nf) {
  if :: nf == 0 -> child_gone(); fork_end() :: else -> ref[nf] = 1; fresh[0] = nf; st[0] = KCOPY fi
}
inline back(t) {
  if
  :: op[t] == READ || op[t] == WRITE ->
     if :: MM(t) == 0 -> readers-- :: else fi;
     if :: res[t] == NOMEM -> idle(t) :: else -> st[t] = TRY fi; res[t] = 0
  :: else ->
     if :: res[t] == NOMEM -> readers--; st[1] = SDONE; res[1] = 0 :: else -> res[1] = 0; slow_page() fi
  fi
}
inline done() {
  e = 0; f = 0;
  assert(!(live && !det) || (pte[v[1]] != 0 && FR(pte[v[1]]) == pinned))
}
inline step(t, nf) {
  if
  :: st[t] == TRY -> access(t)
  :: st[t] == START -> fault_start(t)
  :: st[t] == COPY -> fault_copy(t, nf)
  :: st[t] == INSTALL -> fault_install(t)
  :: st[t] == BACK -> back(t)
  :: st[t] >= FSTART && st[t] <= SDONE -> driver()
  :: st[t] == KCOPY -> fork_copy()
  :: st[t] == KSHARE -> fork_share()
  :: st[t] == KALLOC -> fork_alloc(nf)
  fi;
  done()
}
#define ALLOCATES(t) (st[t] == COPY || st[t] == KALLOC)
#define NONEFREE (ref[1] && ref[2] && ref[3] && FOURTH_HELD)
#define ALLOCATE(t, frame) :: d_step { ALLOCATES(t) && ref[frame] == 0 -> step(t, frame) }
#define REACHES(t, p, w) (pte[MM(t) * NV + p] != 0 && (!(w) || (pte[MM(t) * NV + p] & RW)))
#define WAITS(t) ((st[t] == SLOCK && writer) || (MM(t) == 0 && writer && st[t] == TRY && !REACHES(t, v[t], op[t] == WRITE)))
#define STEPS(t) \
  :: d_step { st[t] && !ALLOCATES(t) && !WAITS(t) -> step(t, 0) } \
  ALLOCATE(t, 1) ALLOCATE(t, 2) ALLOCATE(t, 3) ALLOCATE_FOURTH(t) \
  :: d_step { ALLOCATES(t) && NONEFREE -> step(t, 0) }
#define CANBEGIN(t) (st[t] == IDLE && (t == 0 || (alive && st[0] < KCOPY)))
#define ACCESSES(t, p) \
  :: d_step { CANBEGIN(t) && (REACHES(t, p, 0) || MM(t) || !writer) -> op[t] = READ; v[t] = p; st[t] = TRY; access(t); done() } \
  :: d_step { CANBEGIN(t) && (REACHES(t, p, 1) || MM(t) || !writer) -> op[t] = WRITE; v[t] = p; st[t] = TRY; access(t); done() } \
  :: d_step { CANBEGIN(t) && (MM(t) || !writer) -> zap(MM(t), p); \
       if :: MM(t) == 0 && pinned != 0 && v[1] == p -> det = 1 :: else fi; done() }
#define PINS \
  :: d_step { st[1] == IDLE && !live -> haspin = 1; op[1] = FAST; st[1] = FSTART; done() } \
  :: d_step { st[1] == IDLE && !live -> haspin = 1; op[1] = SLOW; st[1] = SLOCK; done() }

active proctype cpu() {
  do
  STEPS(0)
  ACCESSES(0, 0)
#if NV > 1
  ACCESSES(0, 1)
#endif
#if FORK
  :: d_step { st[0] == IDLE && !alive && !writer && readers == 0 ->
       writer = 1; alive = 1; st[0] = KCOPY;
       if :: st[1] >= FLOAD && st[1] <= FCHECK -> seq = 1 :: else fi;
       i = 0; do :: i < NV -> vanon[NV + i] = vanon[i]; i++ :: else -> break od; i = 0; done() }
#endif
  od
}
active proctype drv() {
  do
  STEPS(1)
  PINS
  :: d_step { st[1] == IDLE && live -> put(pinned, BIAS); pinned = 0; live = 0; det = 0; v[1] = 0; done() }
  od
}
#if FORK
active proctype child() {
  do
  STEPS(2)
  ACCESSES(2, 0)
  :: d_step { CANBEGIN(2) -> child_gone(); done() }
  od
}
#endif
