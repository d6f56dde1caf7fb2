"""An order as Add Order takes it: the model, and reading orders out of files to hold them against it.

Nothing here calls Omisell or changes an order: what passes is still sent as it was written.
"""

from omisync.add_order.model import Order, PaymentStatus, PaymentType
from omisync.add_order.reading import Read, read_orders
from omisync.add_order.validation import Fault, faults_of

__all__ = ["Fault", "Order", "PaymentStatus", "PaymentType", "Read", "faults_of", "read_orders"]
