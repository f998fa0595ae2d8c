"""What is measured: quality by evaluations, overhead, pipelines, kernels."""
