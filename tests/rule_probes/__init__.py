"""One probe for each rule: something small that comes out differently under each of the rule's values.

A probe takes a row of rules and returns what happened, as plain data.  Its outcomes say what the kernels that have a
value do: they are written from their sources, and where no kernel has the combination, from the meaning of the values.
The files are those of mm/rules/.
"""

from rule_probes import fork, gup, hugetlb, khugepaged, ksm, lazyfree, numa, pin, swap, thp, vma, wp
from rule_probes.registry import OUTCOMES, PROBES, Probe

FILES = (fork, gup, hugetlb, khugepaged, ksm, lazyfree, numa, pin, swap, thp, vma, wp)

__all__ = ["FILES", "OUTCOMES", "PROBES", "Probe"]
