/* The scopes of benchmarks/README.md in Murphi, for Rumur, through the C preprocessor with the switches of pin.pml:
 * -DNF=frames, -DNV=pages of P (driver and child use the first alone), -DFILE=0|1: that one is of a file, -DFORK=0|1; and
 * -DSYMMETRY=0|1.
 * An undefined frame is none; in an entry that is present it is the zero page. */
const
  FRAMES: NF;
  PAGES: NV;
  BIAS: 16;

type
#if SYMMETRY
  Frame: scalarset(FRAMES);
  First: Frame; /* the cached page may be any: a start state each, symmetric to each other */
#else
  Frame: 1..FRAMES;
  First: 1..1;
#endif
  Page: 0..PAGES - 1;
  PageOrEnd: 0..PAGES;
  Process: enum { P, C };
  Task: enum { CPU, DRIVER, CHILD };
  Operation: enum { NOTHING, READ, WRITE, PIN_SLOW, PIN_FAST, FORKS };
  Place: enum { IDLE, TRY, FAULT_START, FAULT_COPY, FAULT_INSTALL, FAULT_BACK,
                FAST_START, FAST_LOAD, FAST_GRAB, FAST_CHECK, FAST_BACK, SLOW_LOCK, SLOW_PAGE, SLOW_DONE,
                FORK_COPY, FORK_SHARE, FORK_ALLOCATE };
  Want: enum { FOR_READ, FOR_WRITE, UNSHARE };
  Outcome: enum { RESOLVED, WROTE, NO_MEMORY };
  Entry: record present, writable, accessed, dirty: boolean; frame: Frame; end;

var
  pte: array[Process] of array[Page] of Entry;
  noted: array[Process] of array[Page] of boolean; /* the mapping ever had an anonymous page */
  refs: array[Frame] of 0..2 * BIAS;
  anon, exclusive: array[Frame] of boolean;
  cache: Frame;
  readers: 0..2;
  writer, was_pinned, child_lives: boolean;
  pin_live, discarded: boolean;
  pinned: Frame;
  task: array[Task] of record
    operation: Operation; at: Place; page: PageOrEnd;
    want: Want; seen: Entry; source, fresh: Frame; outcome: Outcome; fork_began: boolean;
  end;

/* frames and entries */

procedure put_page(f: Frame; n: 1..BIAS); begin
  refs[f] := refs[f] - n;
  if refs[f] = 0 then anon[f] := false; exclusive[f] := false; end;
end;

function none_free(): boolean; begin return forall f: Frame do refs[f] != 0 end; end;

function unshared(f: Frame): boolean; begin return anon[f] & exclusive[f]; end;

function is_zero_page(e: Entry): boolean; begin return isundefined(e.frame); end;

function same(a, b: Entry): boolean; begin
  if a.present != b.present | a.writable != b.writable | a.accessed != b.accessed | a.dirty != b.dirty |
     isundefined(a.frame) != isundefined(b.frame) then return false; end;
  return isundefined(a.frame) | a.frame = b.frame;
end;

procedure empty(var e: Entry); begin
  e.present := false; e.writable := false; e.accessed := false; e.dirty := false; undefine e.frame;
end;

procedure unmap(var e: Entry); begin
  if e.present & !is_zero_page(e) then put_page(e.frame, 1); end;
  empty(e);
end;

procedure write_protect_both(p: Page); begin
  pte[P][p].writable := false;
  pte[C][p] := pte[P][p];
  pte[C][p].accessed := false;
end;

/* tasks */

function process(t: Task): Process; begin return t = CHILD ? C : P; end;

procedure idle(t: Task); begin task[t].at := IDLE; task[t].operation := NOTHING; task[t].page := 0; end;

procedure begin_operation(t: Task; operation: Operation; p: Page; at: Place); begin
  task[t].operation := operation; task[t].page := p; task[t].at := at;
end;

function may_begin(t: Task): boolean; begin
  return task[t].at = IDLE & (t != CHILD | child_lives & task[CPU].operation != FORKS);
end;

function may_read_lock(t: Task): boolean; begin return process(t) = C | !writer; end;

/* of the child's lock nobody asks */
procedure read_lock(t: Task); begin if process(t) = P then readers := readers + 1; end; end;
procedure read_unlock(t: Task); begin if process(t) = P then readers := readers - 1; end; end;

/* a fault */

procedure fault(t: Task; want: Want); begin task[t].want := want; task[t].at := FAULT_START; end;

procedure fault_end(t: Task; outcome: Outcome); begin
  if !isundefined(task[t].source) then put_page(task[t].source, 1); undefine task[t].source; end;
  empty(task[t].seen); undefine task[t].fresh; task[t].want := FOR_READ;
  task[t].outcome := outcome; task[t].at := FAULT_BACK;
end;

procedure copy_from(t: Task; f: Frame); begin refs[f] := refs[f] + 1; task[t].source := f; end;

procedure fault_file(t: Task; var e: Entry); begin
  if task[t].want = FOR_WRITE then
    noted[process(t)][task[t].page] := true; copy_from(t, cache); task[t].at := FAULT_COPY;
  else
    e.present := true; e.accessed := true; e.frame := cache; refs[cache] := refs[cache] + 1; fault_end(t, RESOLVED);
  end;
end;

procedure fault_anonymous(t: Task; var e: Entry); begin
  if task[t].want = FOR_WRITE then noted[process(t)][task[t].page] := true; task[t].at := FAULT_COPY;
  else e.present := true; e.accessed := true; fault_end(t, RESOLVED); end;
end;

function reusable(e: Entry): boolean; begin
  if is_zero_page(e) then return false; end;
  return anon[e.frame] & (exclusive[e.frame] | refs[e.frame] = 1);
end;

procedure fault_read_only(t: Task; var e: Entry); begin
  if reusable(e) then
    exclusive[e.frame] := true;
    if task[t].want = UNSHARE then fault_end(t, RESOLVED);
    else e.writable := true; e.accessed := true; e.dirty := true; fault_end(t, WROTE); end;
  else
    noted[process(t)][task[t].page] := true;
    task[t].seen := e;
    if !is_zero_page(e) then copy_from(t, e.frame); end;
    task[t].at := FAULT_COPY;
  end;
end;

procedure fault_start(t: Task); begin
  alias e: pte[process(t)][task[t].page] do
    if !e.present then
      if FILE = 1 & task[t].page = 0 then fault_file(t, e); else fault_anonymous(t, e); end;
    elsif task[t].want != FOR_READ & !e.writable then fault_read_only(t, e);
    else
      e.accessed := true;
      if task[t].want = FOR_WRITE then e.dirty := true; end;
      fault_end(t, RESOLVED);
    end;
  end;
end;

procedure fault_install(t: Task); var for_write, wrote: boolean; begin
  alias e: pte[process(t)][task[t].page]; fresh: task[t].fresh do
    for_write := task[t].want = FOR_WRITE;
    wrote := false;
    if !same(e, task[t].seen) then put_page(fresh, 1);
    else
      wrote := for_write & e.present;
      unmap(e);
      anon[fresh] := true; exclusive[fresh] := true;
      e.present := true; e.accessed := true; e.frame := fresh; e.writable := for_write; e.dirty := for_write;
    end;
    fault_end(t, wrote ? WROTE : RESOLVED);
  end;
end;

/* read, write, discard */

/* whether the task may begin to: the child uses the first page alone */
function accesses(t: Task; p: Page): boolean; begin
  return may_begin(t) & (t = CPU | t = CHILD & p = 0);
end;

function lets_through(t: Task; p: Page; operation: Operation): boolean; begin
  return pte[process(t)][p].present & (operation = READ | pte[process(t)][p].writable);
end;

function may_try(t: Task; p: Page; operation: Operation): boolean; begin
  return lets_through(t, p, operation) | may_read_lock(t);
end;

procedure try(t: Task); begin
  alias e: pte[process(t)][task[t].page] do
    if lets_through(t, task[t].page, task[t].operation) then
      e.accessed := true;
      if task[t].operation = WRITE then e.dirty := true; end;
      idle(t);
    else
      read_lock(t);
      fault(t, task[t].operation = WRITE ? FOR_WRITE : FOR_READ);
    end;
  end;
end;

procedure access_back(t: Task); begin
  read_unlock(t);
  if task[t].outcome = NO_MEMORY then idle(t); else task[t].at := TRY; end;
  task[t].outcome := RESOLVED;
end;

procedure discard(t: Task; p: Page); begin
  unmap(pte[process(t)][p]);
  if process(t) = P & !isundefined(pinned) & task[DRIVER].page = p then discarded := true; end;
end;

/* pin and unpin */

procedure slow_page(); begin
  alias e: pte[P][task[DRIVER].page] do
    if !e.present then fault(DRIVER, FOR_READ);
    elsif !e.writable & (is_zero_page(e) ? true : !unshared(e.frame)) then fault(DRIVER, UNSHARE);
    else
      refs[e.frame] := refs[e.frame] + BIAS; pinned := e.frame;
      readers := readers - 1;
      task[DRIVER].at := SLOW_DONE;
    end;
  end;
end;

procedure slow_back(); var failed: boolean; begin
  failed := task[DRIVER].outcome = NO_MEMORY;
  task[DRIVER].outcome := RESOLVED;
  if failed then readers := readers - 1; task[DRIVER].at := SLOW_DONE; else slow_page(); end;
end;

procedure pin_end(); begin
  if isundefined(pinned) then idle(DRIVER);
  else pin_live := true; task[DRIVER].at := IDLE; task[DRIVER].operation := NOTHING; end;
end;

procedure unpin(); begin
  put_page(pinned, BIAS); undefine pinned;
  pin_live := false; discarded := false;
end;

procedure fast_end(); begin
  if task[DRIVER].fork_began & !isundefined(pinned) then unpin(); end;
  task[DRIVER].fork_began := false; empty(task[DRIVER].seen); task[DRIVER].at := FAST_BACK;
end;

procedure fast_load(); begin
  alias e: pte[P][task[DRIVER].page] do
    if !isundefined(pinned) | !e.present | is_zero_page(e) then fast_end();
    else task[DRIVER].seen := e; task[DRIVER].at := FAST_GRAB; end;
  end;
end;

procedure fast_grab(); begin
  alias f: task[DRIVER].seen.frame do
    if refs[f] = 0 then fast_end(); else refs[f] := refs[f] + BIAS; task[DRIVER].at := FAST_CHECK; end;
  end;
end;

procedure fast_check(); begin
  alias seen: task[DRIVER].seen do
    if same(pte[P][task[DRIVER].page], seen) & (seen.writable | unshared(seen.frame)) then
      pinned := seen.frame; empty(seen); task[DRIVER].at := FAST_LOAD;
    else put_page(seen.frame, BIAS); fast_end(); end;
  end;
end;

function in_gup_fast(): boolean; begin
  return task[DRIVER].at = FAST_LOAD | task[DRIVER].at = FAST_GRAB | task[DRIVER].at = FAST_CHECK;
end;

/* fork and exit */

procedure child_gone(); begin
  for p: Page do unmap(pte[C][p]); noted[C][p] := false; end;
  child_lives := false;
end;

procedure fork_begin(); begin
  begin_operation(CPU, FORKS, 0, FORK_COPY);
  writer := true; child_lives := true;
  for p: Page do noted[C][p] := noted[P][p]; end;
  if in_gup_fast() then task[DRIVER].fork_began := true; end;
end;

procedure fork_end(); begin writer := false; idle(CPU); end;

function nothing_to_copy(p: PageOrEnd): boolean; begin
  return p != PAGES & (!noted[P][p] | !pte[P][p].present);
end;

procedure fork_next(); begin
  alias t: task[CPU] do
    if !isundefined(t.fresh) then put_page(t.fresh, 1); undefine t.fresh; end;
    t.page := t.page + 1; t.at := FORK_COPY;
  end;
end;

procedure fork_copy_to_fresh(var e: Entry; fresh: Frame); begin
  anon[fresh] := true; exclusive[fresh] := true;
  e.present := true; e.writable := true; e.accessed := false; e.dirty := true; e.frame := fresh;
end;

procedure fork_page(p: Page); begin
  alias t: task[CPU]; e: pte[P][p] do
    if is_zero_page(e) then write_protect_both(p); fork_next();
    elsif was_pinned & exclusive[e.frame] & refs[e.frame] >= BIAS then
      if isundefined(t.fresh) then t.at := FORK_ALLOCATE;
      else fork_copy_to_fresh(pte[C][p], t.fresh); undefine t.fresh; fork_next(); end;
    else t.at := FORK_SHARE; end;
  end;
end;

procedure fork_copy(); begin
  alias t: task[CPU] do
    while nothing_to_copy(t.page) do t.page := t.page + 1; end;
    if t.page = PAGES then fork_end(); else fork_page(t.page); end;
  end;
end;

procedure fork_share(); begin
  alias p: task[CPU].page; e: pte[P][task[CPU].page] do
    exclusive[e.frame] := false; refs[e.frame] := refs[e.frame] + 1;
    write_protect_both(p); fork_next();
  end;
end;

/* the next step of a task: one that allocates, one that finds no memory, any other */

function allocates(t: Task): boolean; begin return task[t].at = FAULT_COPY | task[t].at = FORK_ALLOCATE; end;

procedure allocated(t: Task; f: Frame); begin
  refs[f] := 1; task[t].fresh := f;
  task[t].at := task[t].at = FAULT_COPY ? FAULT_INSTALL : FORK_COPY;
end;

procedure no_memory(t: Task); begin
  if task[t].at = FAULT_COPY then fault_end(t, NO_MEMORY); else child_gone(); fork_end(); end;
end;

function waits(t: Task): boolean; begin
  return task[t].at = SLOW_LOCK & writer | task[t].at = TRY & !may_try(t, task[t].page, task[t].operation);
end;

procedure step(t: Task); begin
  switch task[t].at
    case TRY: try(t);
    case FAULT_START: fault_start(t);
    case FAULT_INSTALL: fault_install(t);
    case FAULT_BACK: if t = DRIVER then slow_back(); else access_back(t); end;
    case FAST_START: task[t].at := writer ? FAST_BACK : FAST_LOAD;
    case FAST_LOAD: fast_load();
    case FAST_GRAB: fast_grab();
    case FAST_CHECK: fast_check();
    case FAST_BACK: if isundefined(pinned) then task[t].at := SLOW_LOCK; else pin_end(); end;
    case SLOW_LOCK: readers := readers + 1; task[t].at := SLOW_PAGE;
    case SLOW_PAGE: slow_page();
    case SLOW_DONE: pin_end();
    case FORK_COPY: fork_copy();
    case FORK_SHARE: fork_share();
  end;
end;

ruleset first: First do
  startstate begin
    for m: Process do for p: Page do empty(pte[m][p]); noted[m][p] := false; end; end;
    for f: Frame do refs[f] := 0; anon[f] := false; exclusive[f] := false; end;
    undefine cache; undefine pinned;
    if FILE = 1 then cache := first; refs[first] := 1; end;
    readers := 0; writer := false; was_pinned := false; child_lives := false; pin_live := false; discarded := false;
    for t: Task do
      idle(t); undefine task[t].source; undefine task[t].fresh; empty(task[t].seen);
      task[t].want := FOR_READ; task[t].outcome := RESOLVED; task[t].fork_began := false;
    end;
  end;
end;

ruleset t: Task do
  rule "step" task[t].at != IDLE & !allocates(t) & !waits(t) ==> begin step(t); end;
  rule "step without memory" allocates(t) & none_free() ==> begin no_memory(t); end;
  ruleset f: Frame do
    rule "step that allocates" allocates(t) & refs[f] = 0 ==> begin allocated(t, f); end;
  end;
end;

ruleset t: Task; p: Page do
  rule "read" accesses(t, p) & may_try(t, p, READ) ==> begin begin_operation(t, READ, p, TRY); try(t); end;
  rule "write" accesses(t, p) & may_try(t, p, WRITE) ==> begin begin_operation(t, WRITE, p, TRY); try(t); end;
  rule "discard" accesses(t, p) & may_read_lock(t) ==> begin discard(t, p); end;
end;

rule "pin, slow" may_begin(DRIVER) & !pin_live ==> begin
  was_pinned := true; begin_operation(DRIVER, PIN_SLOW, 0, SLOW_LOCK); end;
rule "pin, fast" may_begin(DRIVER) & !pin_live ==> begin
  was_pinned := true; begin_operation(DRIVER, PIN_FAST, 0, FAST_START); end;
rule "unpin" may_begin(DRIVER) & pin_live ==> begin unpin(); idle(DRIVER); end;
#if FORK
rule "fork" may_begin(CPU) & !child_lives & !writer & readers = 0 ==> begin fork_begin(); end;
rule "exit" may_begin(CHILD) ==> begin child_gone(); end;
#endif

invariant "a live pin that is not detached holds the frame that P maps"
  pin_live & !discarded -> pte[P][task[DRIVER].page].present &
    !is_zero_page(pte[P][task[DRIVER].page]) & pte[P][task[DRIVER].page].frame = pinned;
