"""Random content and rendering of the synthetic stand-ins: phrases, invoices, text and pages."""
